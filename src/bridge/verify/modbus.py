"""The bridge's Modbus TCP server as an integrator reads it: the exported register list and pymodbus."""

import csv
import io
import struct
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

from bridge.core.point import Kind, PointDef
from bridge.core.quality import UNUSABLE, Quality
from bridge.verify.client import ClientFailed
from bridge.verify.compare import Precision, Shown

_TIMEOUT_S = 20.0
_CODES = {"int64": ">q", "float32": ">f", "uint16": ">H", "boolean": ">H", "time": ">q"}
_WANTED = {
    Kind.ANALOG: "float32",
    Kind.ACCUMULATOR: "int64",
    Kind.BINARY: "boolean",
    Kind.MULTISTATE: "uint16",
    Kind.TEXT: "text",
    Kind.TIME: "time",
}
_NS_PER_MS = 1_000_000
_BAD = UNUSABLE | Quality.SUBSTITUTED | Quality.QUESTIONABLE
# unit id that stands for the whole bridge; each meter is read at its own
_WHOLE = "255"


class ModbusReader:
    """VerifyClient of the Modbus TCP server."""

    def __init__(self, host: str, port: int, register_list: str) -> None:
        rows = [r for r in csv.DictReader(io.StringIO(register_list)) if r["table"] == "registers"]
        self._values = {(r["point"], r["type"]): r for r in rows if r["shows"] == "value" and r["unit_id"] != _WHOLE}
        self._flags = {r["point"]: r for r in rows if r["shows"] == "quality" and r["unit_id"] != _WHOLE}
        # untyped library: ends here
        self._client: Any = ModbusTcpClient(host, port=port, timeout=_TIMEOUT_S)

    def read(self, points: Sequence[PointDef]) -> Mapping[str, Shown]:
        """Raises: ClientFailed."""
        try:
            if not self._client.connect():
                raise ClientFailed("modbus: no connection")
            return {p.id: shown for p in points if (shown := self._read(p)) is not None}
        except ModbusException as exc:
            raise ClientFailed(f"modbus: {exc}") from exc

    def close(self) -> None:
        self._client.close()

    def _read(self, point: PointDef) -> Shown | None:
        row = self._values.get((point.id, _WANTED[point.kind]))
        flags = self._flags.get(point.id)
        if row is None or flags is None:
            return None
        quality = Quality(int.from_bytes(self._registers(flags), "big"))
        data = self._registers(row)
        value = _value(point.kind, row, data) if not quality & UNUSABLE else None
        precision = Precision.FLOAT32 if point.kind is Kind.ANALOG else Precision.EXACT
        return Shown(value, precision, not quality & _BAD)

    def _registers(self, row: Mapping[str, str]) -> bytes:
        unit_id, address, count = int(row["unit_id"]), int(row["address"]), int(row["registers"])
        answer = self._client.read_holding_registers(address, count=count, device_id=unit_id)
        if answer.isError():
            raise ClientFailed(f"modbus: {answer} for {row['point']} at unit {unit_id}, {address}")
        return b"".join(word.to_bytes(2, "big") for word in answer.registers)


def _value(kind: Kind, row: Mapping[str, str], data: bytes) -> Fraction | float | str:
    if kind is Kind.TEXT:
        return data.rstrip(b"\0").decode("utf-8", "replace")
    number = struct.unpack(_CODES[row["type"]], data)[0]
    if kind is Kind.ACCUMULATOR:
        return Fraction(number) * Fraction(row["scale"])
    if kind is Kind.TIME:
        return Fraction(number * _NS_PER_MS)
    return number if kind is Kind.ANALOG else Fraction(number)
