"""The bridge's DNP3 outstation as an integrator reads it: the exported point list and dnp3py's master."""

import asyncio
import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from dnp3.core.exceptions import DNP3Error
from dnp3.master import DefaultSOEHandler, Master, MasterConfig, MasterTcpRunner
from dnp3.master.tcp_runner import MasterRunnerError

from bridge.core.point import Kind, PointDef
from bridge.verify.client import ClientFailed
from bridge.verify.compare import Precision, Shown

_TIMEOUT_S = 20.0
_NS_PER_MS = 1_000_000
_TEXT_GROUP = 110
# type in the point list -> variation with flags that holds the whole value
_VARIATIONS = {
    "binary_input": 2,
    "binary_output": 2,
    "counter": 1,
    "analog_input": 6,
    "analog_output": 4,
    "octet_string": 0,
}
# flag octet, the same bits in every static object with flags
_ONLINE, _RESTART, _LOCAL_FORCED, _REFERENCE_ERROR = 0x01, 0x02, 0x10, 0x40
_COUNTER_SIZE = 2**32
Place = tuple[str, int]


class _Texts(Master):
    """dnp3py knows no octet strings: the fragments are kept for the one object it leaves to us."""

    fragments: list[bytes]

    def process_response(self, data: bytes) -> Any:
        self.fragments.append(data)
        return super().process_response(data)


def free_master(masters: Iterable[Mapping[str, Any]], counters: Mapping[str, int]) -> tuple[int, int]:
    """
    Return address and outstation of a master that is not connected: one that is would lose its connection to us.

    Raises: ClientFailed.
    """
    for master in masters:
        address, outstation = master["address"], master["outstation"]
        if master["serial"] is None and not counters.get(f"connected_{address}_{outstation}", 0):
            return address, outstation
    raise ClientFailed("dnp3: every master of the mapping is connected; none is put off for a verification")


class Dnp3Reader:
    """
    VerifyClient of the outstation. `address`: a master of the mapping that is not connected.

    Only static objects are read, by index: no event is taken from the master it stands in for.
    """

    def __init__(self, host: str, port: int, address: int, outstation: int, point_list: str) -> None:
        self._rows: dict[str, list[Mapping[str, str]]] = {}
        for row in csv.DictReader(io.StringIO(point_list)):
            if row["type"] in _VARIATIONS:
                self._rows.setdefault(row["point"], []).append(row)
        self._runner = asyncio.Runner()
        self._handler = DefaultSOEHandler()
        self._master = _Texts(
            handler=self._handler, config=MasterConfig(address=address, outstation_address=outstation)
        )
        self._master.fragments = []
        self._asking = MasterTcpRunner(master=self._master, host=host, port=port, response_timeout=_TIMEOUT_S)

    def read(self, points: Sequence[PointDef]) -> Mapping[str, Shown]:
        """Raises: ClientFailed."""
        try:
            return self._runner.run(self._read(points))
        except (MasterRunnerError, DNP3Error, OSError) as exc:
            raise ClientFailed(f"dnp3: {exc}") from exc

    def close(self) -> None:
        self._runner.run(self._asking.close())
        self._runner.close()

    async def _read(self, points: Sequence[PointDef]) -> Mapping[str, Shown]:
        if not self._asking.is_open:
            await self._asking.open()
        self._handler.clear()
        rows = [row for point in points for row in self._rows.get(point.id, ())]
        values: dict[Place, tuple[Any, int | None]] = {}
        for kind, variation in _VARIATIONS.items():
            mine = [row for row in rows if row["type"] == kind]
            for first, last in _runs(int(row["index"]) for row in mine):
                self._master.fragments.clear()
                await self._asking.request(self._master.build_range_poll(int(mine[0]["group"]), variation, first, last))
                if kind == "octet_string":
                    values |= {(kind, at): (text, None) for at, text in _texts(self._master.fragments)}
        values |= self._taken()
        return {p.id: shown for p in points if (shown := _shown(p, self._rows.get(p.id, ()), values)) is not None}

    def _taken(self) -> dict[Place, tuple[Any, int | None]]:
        tables: Mapping[str, Mapping[int, Any]] = {
            "binary_input": self._handler.binary_inputs,
            "binary_output": self._handler.binary_outputs,
            "counter": self._handler.counters,
            "analog_input": self._handler.analog_inputs,
            "analog_output": self._handler.analog_outputs,
        }
        return {
            (kind, at): (value.value, int(value.quality))
            for kind, table in tables.items()
            for at, value in table.items()
        }


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield first and last of every run of consecutive numbers."""
    first = last = -2
    for number in sorted(numbers):
        if number != last + 1:
            if last >= 0:
                yield first, last
            first = number
        last = number
    if last >= 0:
        yield first, last


def _texts(fragments: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """Yield index and text of every octet string: IEEE 1815 object group 110, qualifiers 00 and 01."""
    for fragment in fragments:
        # application control, function, two octets of internal indications
        at = 4
        while at + 3 <= len(fragment) and fragment[at] == _TEXT_GROUP:
            length, qualifier = fragment[at + 1], fragment[at + 2]
            size = 1 if qualifier == 0 else 2
            start, stop = (
                int.from_bytes(fragment[at + 3 + size * part : at + 3 + size * (part + 1)], "little") for part in (0, 1)
            )
            at += 3 + 2 * size
            for index in range(start, stop + 1):
                yield index, fragment[at : at + length].rstrip(b"\0").decode("utf-8", "replace")
                at += length


def _shown(
    point: PointDef, rows: Sequence[Mapping[str, str]], values: Mapping[Place, tuple[Any, int | None]]
) -> Shown | None:
    found = {
        row["type"]: (row, *values[place]) for row in rows if (place := (row["type"], int(row["index"]))) in values
    }
    if len(found) < len({row["type"] for row in rows}) or not found:
        return None
    if any(flags is not None and flags & _RESTART for _, _, flags in found.values()):
        # never read: what stands there is no value
        return Shown(None, Precision.EXACT, good=False)
    good = all(flags is not None and _trusted(flags) for _, _, flags in found.values())
    row, value, _ = next(iter(found.values()))
    match point.kind:
        case Kind.TEXT:
            # an octet string has no flags
            return Shown(str(value), Precision.EXACT, None)
        case Kind.ACCUMULATOR:
            return Shown(_whole(found) * Fraction(found["counter"][0]["scale"]), Precision.EXACT, good)
        case Kind.TIME:
            return Shown(Fraction(int(value)) * _NS_PER_MS, Precision.EXACT, good)
        case Kind.ANALOG:
            return Shown(float(value) * float(row["scale"]), Precision.FLOAT64, good)
        case Kind.BINARY | Kind.MULTISTATE:
            return Shown(Fraction(int(value)), Precision.EXACT, good)


def _trusted(flags: int) -> bool:
    return bool(flags & _ONLINE) and not flags & (_LOCAL_FORCED | _REFERENCE_ERROR)


def _whole(found: Mapping[str, tuple[Mapping[str, str], Any, int | None]]) -> int:
    """The counter counts modulo 2**32; the double beside it tells how often that was."""
    row, counter, _ = found["counter"]
    low = int(counter)
    if "analog_input" not in found:
        return low
    beside, double, _ = found["analog_input"]
    counts = float(double) * float(beside["scale"]) / float(row["scale"])
    return low + _COUNTER_SIZE * round((counts - low) / _COUNTER_SIZE)
