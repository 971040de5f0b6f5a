"""The bridge's SNMP agent as a network management station sees it: pysnmp's manager, rows found by their names."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from pysnmp.hlapi.v1arch.asyncio import CommunityData, SnmpDispatcher, UdpTransportTarget, bulk_cmd, get_cmd
from pysnmp.proto.api import v2c

from bridge.core.point import Kind, PointDef
from bridge.verify.client import ClientFailed
from bridge.verify.compare import Precision, Shown

_TIMEOUT_S, _RETRIES = 5.0, 3
# rows of one GETBULK, names of one GET: what fits a datagram
_REPETITIONS, _NAMES = 20, 24
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# arcs below the enterprise number (METERBRIDGE-MIB)
_DEVICE_NAME = (1, 1, 2, 1, 2)
_POINT = (1, 1, 3, 1)
_NAME, _VALUE, _SCALED, _QUALITY = 2, 4, 5, 8
_GOOD = 1
Oid = tuple[int, ...]


class SnmpReader:
    """VerifyClient of the SNMP agent. `root`: its enterprise number, dotted."""

    def __init__(self, host: str, port: int, community: str, root: str) -> None:
        self._root: Oid = tuple(int(arc) for arc in root.split("."))
        self._runner = asyncio.Runner()
        # untyped library: ends here
        self._dispatcher: Any = None
        self._target: Any = None
        self._community: Any = CommunityData(community)
        self._address = (host, port)
        self._rows: dict[str, Oid] = {}

    def read(self, points: Sequence[PointDef]) -> Mapping[str, Shown]:
        """Raises: ClientFailed."""
        return self._runner.run(self._read(points))

    def close(self) -> None:
        if self._dispatcher is not None:
            self._runner.run(self._end())
        self._runner.close()

    async def _end(self) -> None:
        self._dispatcher.close()

    async def _read(self, points: Sequence[PointDef]) -> Mapping[str, Shown]:
        if self._dispatcher is None:
            self._dispatcher = SnmpDispatcher()
            self._target = await UdpTransportTarget.create(self._address, timeout=_TIMEOUT_S, retries=_RETRIES)
            self._rows = await self._find_rows()
        known = [(point, self._rows[point.id]) for point in points if point.id in self._rows]
        names = [self._name(column, row) for _, row in known for column in (_VALUE, _SCALED, _QUALITY)]
        values = await self._get(names)
        return {point.id: _shown(point, [values.get(self._name(c, row)) for c in (_VALUE, _SCALED, _QUALITY)])
                for point, row in known}  # fmt: skip

    def _name(self, column: int, row: Oid) -> Oid:
        return (*self._root, *_POINT, column, *row)

    async def _find_rows(self) -> dict[str, Oid]:
        """Return the row of each point, by `device.name`."""
        devices = {oid[-1]: str(bytes(name), "utf-8") for oid, name in await self._column((*self._root, *_DEVICE_NAME))}
        column = (*self._root, *_POINT, _NAME)
        return {f"{devices[oid[-2]]}.{bytes(name).decode()}": oid[-2:] for oid, name in await self._column(column)}

    async def _column(self, column: Oid) -> list[tuple[Oid, Any]]:
        found: list[tuple[Oid, Any]] = []
        at = column
        while True:
            binds = await self._ask(bulk_cmd, [at], 0, _REPETITIONS)
            inside = [(tuple(name), value) for name, value in binds if tuple(name)[: len(column)] == column]
            found += inside
            if not inside or len(inside) < len(binds):
                return found
            at = inside[-1][0]

    async def _get(self, names: Sequence[Oid]) -> dict[Oid, Any]:
        found: dict[Oid, Any] = {}
        for at in range(0, len(names), _NAMES):
            binds = await self._ask(get_cmd, names[at : at + _NAMES])
            found |= {tuple(name): value for name, value in binds if not value.isSameTypeWith(v2c.NoSuchInstance(""))}
        return found

    async def _ask(self, command: Any, names: Iterable[Oid], *numbers: int) -> Any:
        binds = [(v2c.ObjectIdentifier(name), v2c.Null("")) for name in names]
        failure, status, _, answer = await command(
            self._dispatcher, self._community, self._target, *numbers, *binds, lookupMib=False
        )
        if failure or status:
            raise ClientFailed(f"snmp: {failure or status.prettyPrint()}")
        return answer


def _shown(point: PointDef, values: Sequence[Any]) -> Shown:
    value, scaled, quality = values
    good = quality is not None and int(quality) == _GOOD
    if value is None or not good:
        return Shown(None, Precision.EXACT, good)
    text = bytes(value).decode("utf-8", "replace")
    match point.kind:
        case Kind.TEXT:
            return Shown(text, Precision.EXACT, good)
        case Kind.TIME:
            return Shown(Fraction(_ns(text)), Precision.EXACT, good)
        case Kind.ANALOG:
            return Shown(float(text), Precision.FLOAT64, good)
        case Kind.ACCUMULATOR:
            return Shown(Fraction(text), Precision.EXACT, good)
        case Kind.BINARY | Kind.MULTISTATE:
            return Shown(Fraction(int(scaled)), Precision.EXACT, good)


def _ns(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1) * 1000
