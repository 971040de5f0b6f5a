"""The bridge's BACnet device as an integrator reads it: exported EDE, state texts, rusty-bacnet's client."""

import asyncio
import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from rusty_bacnet import BACnetClient, BacnetError, ObjectIdentifier, ObjectType, PropertyIdentifier

from bridge.core.point import Kind, PointDef
from bridge.verify.client import ClientFailed
from bridge.verify.compare import Precision, Shown

_TIMEOUT_MS = 3000
# Objects of one ReadPropertyMultiple.
_OBJECTS = 20
_PRESENT, _FLAGS, _SCALE = PropertyIdentifier.PRESENT_VALUE, PropertyIdentifier.STATUS_FLAGS, PropertyIdentifier.SCALE
_ACCUMULATOR = 23
# Status_Flags: fault and overridden; in-alarm says nothing of the value.
_BAD = 0x40 | 0x20
# Nanoseconds of the least step of a Time.
_HUNDREDTH = 10_000_000
# Columns of an EDE 2.2 row.
_DEVICE, _TYPE, _INSTANCE, _MOST, _TEXTS, _POINT, _COLUMNS = 1, 3, 4, 8, 13, 15, 16
_EVERY_ADDRESS = ("", "0.0.0.0")
Row = Sequence[str]


class BacnetReader:
    """VerifyClient of the BACnet device with number `device_id`."""

    def __init__(self, host: str, port: int, device_id: int, ede: str, state_texts: str) -> None:
        """Raises: ClientFailed for points of devices behind the router, which the client cannot address."""
        rows = [row for row in _rows(ede) if len(row) == _COLUMNS and row[_POINT]]
        if any(row[_DEVICE] != str(device_id) for row in rows):
            raise ClientFailed(
                "bacnet: expected layout one-device; a client without a network cannot ask behind a router"
            )
        self._rows = {row[_POINT]: row for row in rows}
        self._texts = {row[0]: row[1:] for row in _rows(state_texts)}
        self._runner = asyncio.Runner()
        self._address = f"{'127.0.0.1' if host in _EVERY_ADDRESS else host}:{port}"
        self._local = "127.0.0.1" if self._address.startswith("127.") else "0.0.0.0"
        self._client: BACnetClient | None = None

    def read(self, points: Sequence[PointDef]) -> Mapping[str, Shown]:
        """Raises: ClientFailed."""
        try:
            return self._runner.run(self._read(points))
        except (BacnetError, OSError) as exc:
            raise ClientFailed(f"bacnet: {exc}") from exc

    def close(self) -> None:
        if self._client is not None:
            self._runner.run(self._stop(self._client))
        self._runner.close()

    async def _stop(self, client: BACnetClient) -> None:
        await client.stop()

    async def _read(self, points: Sequence[PointDef]) -> Mapping[str, Shown]:
        if self._client is None:
            made = BACnetClient(interface=self._local, port=0, apdu_timeout_ms=_TIMEOUT_MS)
            self._client = await made.__aenter__()
        known = [(point, self._rows[point.id]) for point in points if point.id in self._rows]
        found: dict[str, Shown] = {}
        for at in range(0, len(known), _OBJECTS):
            part = known[at : at + _OBJECTS]
            answers = await self._client.read_property_multiple(self._address, [_asked(row) for _, row in part])
            for (point, row), answer in zip(part, answers, strict=True):
                values = [result["value"] for result in answer["results"]]
                shown = _shown(point, row, [getattr(value, "value", None) for value in values], self._texts)
                if shown is not None:
                    found[point.id] = shown
        return found


def _rows(text: str) -> Iterable[Row]:
    return [row for row in csv.reader(io.StringIO(text), delimiter=";") if row and not row[0].startswith("#")]


def _asked(row: Row) -> tuple[ObjectIdentifier, list[tuple[PropertyIdentifier, int | None]]]:
    kind = int(row[_TYPE])
    wanted = [_PRESENT, _FLAGS, _SCALE] if kind == _ACCUMULATOR else [_PRESENT, _FLAGS]
    return ObjectIdentifier(ObjectType.from_raw(kind), int(row[_INSTANCE])), [(each, None) for each in wanted]


def _shown(point: PointDef, row: Row, values: Sequence[Any], texts: Mapping[str, Row]) -> Shown | None:
    value, flags = values[0], values[1]
    if value is None or flags is None:
        return None
    good = not flags["data"][0] & _BAD
    match point.kind:
        case Kind.TEXT:
            return Shown(str(value), Precision.EXACT, good)
        case Kind.ACCUMULATOR if int(row[_TYPE]) == _ACCUMULATOR:
            # an Unsigned of four octets: the count modulo Max_Pres_Value + 1
            step = Fraction(10) ** int(values[2])
            return Shown(int(value) * step, Precision.EXACT, good, modulus=(int(row[_MOST]) + 1) * step)
        case Kind.ACCUMULATOR | Kind.ANALOG:
            precision = (
                Precision.FLOAT64 if int(row[_TYPE]) == ObjectType.LARGE_ANALOG_VALUE.to_raw() else Precision.FLOAT32
            )
            return Shown(float(value) if good else None, precision, good)
        case Kind.TIME:
            return Shown(_time(value) if good else None, Precision.EXACT, good, step=Fraction(_HUNDREDTH))
        case Kind.BINARY:
            return Shown(Fraction(int(value)), Precision.EXACT, good)
        case Kind.MULTISTATE:
            return Shown(_code(point, int(value), texts[row[_TEXTS]]) if good else None, Precision.EXACT, good)


def _time(value: Sequence[Sequence[int]]) -> Fraction:
    (year, month, day, _), (hour, minute, second, hundredths) = value
    at = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    return Fraction(int(at.timestamp()) * 10**9 + hundredths * _HUNDREDTH)


def _code(point: PointDef, state: int, texts: Row) -> Fraction | str:
    """Return the code behind a state's text; a text that the meter file does not have is shown as it is."""
    text = texts[state - 1]
    return next((Fraction(code) for code, known in point.states if known.replace(";", ",") == text), text)
