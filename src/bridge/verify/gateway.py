"""The meters through the bridge's Modbus gateway, as any Modbus TCP master finds them: pymodbus and the unit list."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

from bridge.config.meter import Table
from bridge.config.model import FieldDevice, FieldPoint
from bridge.core.point import Kind, PointDef
from bridge.verify.client import ClientFailed
from bridge.verify.compare import Precision, Shown, expected
from bridge.verify.reference import RawBlock, raw_value, registers_of

# a request waits for the line, and a silent device for its time-out
_TIMEOUT_S = 20.0
# registers of one question
_MOST = 100


def readable(devices: Iterable[FieldDevice], unit_list: str) -> dict[str, tuple[int, FieldPoint]]:
    """Return unit id and point of all that can be compared: those with a register whose scale the meter file says."""
    rows = [r for r in csv.DictReader(io.StringIO(unit_list)) if r["framing"] == "mbap" and not r["tls"]]
    units = {row["device"]: int(row["unit_id"]) for row in rows if row["device"]}
    return {
        point.definition.id: (units[device.definition.id], point)
        for device in devices
        if device.definition.id in units
        for point in device.points
        if point.read is not None and point.read.scale_at is None and not point.read.scale_alternatives
    }


class GatewayReader:
    """
    VerifyClient of the gateway: registers as the meter answers them, scaled by the meter file.

    What passes the gateway renews the point table, so both must hold the same afterwards. `indexes`: of what it reads.
    """

    def __init__(self, host: str, port: int, known: Mapping[str, tuple[int, FieldPoint]]) -> None:
        self._known = known
        self.indexes = frozenset(point.definition.index for _, point in known.values())
        # untyped library: ends here
        self._client: Any = ModbusTcpClient(host, port=port, timeout=_TIMEOUT_S)

    def read(self, points: Sequence[PointDef]) -> Mapping[str, Shown]:
        """Raises: ClientFailed."""
        wanted = [self._known[point.id] for point in points if point.id in self._known]
        try:
            if not self._client.connect():
                raise ClientFailed("gateway: no connection")
            found: dict[str, Shown] = {}
            for unit in dict.fromkeys(unit for unit, _ in wanted):
                found |= self._of_unit(unit, [point for of, point in wanted if of == unit])
            return found
        except ModbusException as exc:
            raise ClientFailed(f"gateway: {exc}") from exc

    def close(self) -> None:
        self._client.close()

    def _of_unit(self, unit: int, points: Sequence[FieldPoint]) -> dict[str, Shown]:
        blocks = [block for run in _runs(points) if (block := self._block(unit, *run)) is not None]
        return {point.definition.id: _shown(point, blocks) for point in points}

    def _block(self, unit: int, table: Table, first: int, count: int) -> RawBlock | None:
        """Return None where the device, or the gateway for it, answers with an exception."""
        asks = {
            Table.COIL: self._client.read_coils,
            Table.DISCRETE_INPUT: self._client.read_discrete_inputs,
            Table.HOLDING: self._client.read_holding_registers,
            Table.INPUT: self._client.read_input_registers,
        }
        answer = asks[table](first, count=count, device_id=unit)
        if answer.isError():
            return None
        if table in (Table.COIL, Table.DISCRETE_INPUT):
            packed = sum(bit << at for at, bit in enumerate(answer.bits[:count]))
            return RawBlock(table.value, first, packed.to_bytes((count + 7) // 8, "little"), 0, count)
        return RawBlock(table.value, first, b"".join(word.to_bytes(2, "big") for word in answer.registers), 0)


def _runs(points: Iterable[FieldPoint]) -> Iterator[tuple[Table, int, int]]:
    """Yield table, first register and count of every row of registers without a gap."""
    spans = sorted({(p.read.table.value, p.read.address, p.read.address + p.read.count) for p in points if p.read})
    held: tuple[int, int, int] | None = None
    for table, first, end in spans:
        if held is not None and held[0] == table and first <= held[2] and max(end, held[2]) - held[1] <= _MOST:
            held = table, held[1], max(end, held[2])
            continue
        if held is not None:
            yield Table(held[0]), held[1], held[2] - held[1]
        held = table, first, end
    if held is not None:
        yield Table(held[0]), held[1], held[2] - held[1]


def _shown(point: FieldPoint, blocks: Sequence[RawBlock]) -> Shown:
    assert point.read is not None
    found = registers_of(point.read, blocks, 0)
    if found is None:
        return Shown(None, Precision.EXACT, good=False)
    value = expected(point, raw_value(point.read, found[0]))
    # Modbus has no word for trust
    precision = Precision.FLOAT64 if point.definition.kind is Kind.ANALOG else Precision.EXACT
    return Shown(value, precision, None)
