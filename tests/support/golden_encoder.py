"""
Golden replies for meter files, encoded by pymodbus: other code than the bridge's own decoder.

    python -m tests.support.golden_encoder mappings/meters/bsmart.yaml 0x2100 2 voltage_l1_n=230.12
    python -m tests.support.golden_encoder mappings/meters/sunspec-203.yaml 40077 9 voltage_l1_n=230.1 @40085=-1

prints one line for `golden:`. `point=null` gives the register a device without a value would send, `@address=number`
sets a register by its wire address (a scale factor), `point=0x...` sets the words of a point as they are. Counts of
accumulators are counts, times are UTC seconds. Registers of the block that nothing names are 0x8000, unmapped.
"""

import sys
from decimal import Decimal
from pathlib import Path

import msgspec
from pymodbus.client.mixin import ModbusClientMixin

from bridge.config.meter import Addressing, MeterFile, PointFile, RegisterType, Table, WordOrder
from bridge.config.yaml_marks import read

UNMAPPED = 0x8000
NOTHING = {
    RegisterType.UINT16: "ffff",
    RegisterType.INT16: "8000",
    RegisterType.UINT32: "ffffffff",
    RegisterType.INT32: "80000000",
    RegisterType.UINT64: "ffffffffffffffff",
    RegisterType.INT64: "8000000000000000",
    RegisterType.FLOAT32: "ffc00000",
    RegisterType.FLOAT64: "fff8000000000000",
    RegisterType.UNIX_TIME: "ffffffff",
}
_TYPES = {
    RegisterType.UINT16: ModbusClientMixin.DATATYPE.UINT16,
    RegisterType.INT16: ModbusClientMixin.DATATYPE.INT16,
    RegisterType.UINT32: ModbusClientMixin.DATATYPE.UINT32,
    RegisterType.INT32: ModbusClientMixin.DATATYPE.INT32,
    RegisterType.UINT64: ModbusClientMixin.DATATYPE.UINT64,
    RegisterType.INT64: ModbusClientMixin.DATATYPE.INT64,
    RegisterType.FLOAT32: ModbusClientMixin.DATATYPE.FLOAT32,
    RegisterType.FLOAT64: ModbusClientMixin.DATATYPE.FLOAT64,
    RegisterType.UNIX_TIME: ModbusClientMixin.DATATYPE.UINT32,
}
_FLOATS = (RegisterType.FLOAT32, RegisterType.FLOAT64)


def load_meter(path: Path) -> MeterFile:
    """Return the file as it is written: without the points of a file it extends."""
    return msgspec.convert(read(path.read_text(encoding="utf-8"), str(path)).data, MeterFile)


def place(meter: MeterFile, point: PointFile) -> tuple[Table, int]:
    """Return the table and wire address of a point, read by this module's own rules."""
    at = int(point.at if point.at is not None else -1)
    if meter.modbus.addressing is Addressing.MODICON:
        digit, number = divmod(at, 10_000)
        return {4: Table.HOLDING, 3: Table.INPUT, 1: Table.DISCRETE_INPUT, 0: Table.COIL}[digit], number - 1
    return meter.modbus.table, at - 1 if meter.modbus.addressing is Addressing.ONE else at


def words(meter: MeterFile, point: PointFile, value: float | int | str | None, exponent: int = 0) -> list[int]:
    """Return the registers a device sends for `value`. `exponent`: of the device's scale factor register."""
    order = point.order or meter.modbus.word_order
    kind = point.type
    if kind is None or order not in (WordOrder.ABCD, WordOrder.CDAB):
        raise ValueError("no register")
    if value is None:
        raw = NOTHING[kind]
        plain = [int(raw[i : i + 4], 16) for i in range(0, len(raw), 4)]
        return plain if order is WordOrder.ABCD else plain[::-1]
    if isinstance(value, str):
        if kind is RegisterType.STRING16:
            return [ord(c) for c in value.ljust(point.registers or 0, "\0")]
        padded = value.ljust(2 * (point.registers or 0), "\0").encode()
        return [int.from_bytes(padded[i : i + 2], "big") for i in range(0, len(padded), 2)]
    step = Decimal(str(point.scale)) * Decimal(10) ** exponent
    unit = Decimal(str(point.resolution)) if point.resolution is not None else Decimal(1)
    number = Decimal(str(value)) * unit / step
    if kind not in _FLOATS and number != int(number):
        raise ValueError(f"{value} is no whole number of steps of {step}")
    return ModbusClientMixin.convert_to_registers(
        float(number) if kind in _FLOATS else int(number),
        _TYPES[kind],
        word_order="big" if order is WordOrder.ABCD else "little",
    )


def reply(function: int, registers: list[int]) -> str:
    """Return the PDU of a read of registers (Modbus Application Protocol V1.1b3, 6.3 and 6.4)."""
    data = b"".join(word.to_bytes(2, "big") for word in registers)
    return (bytes([function, len(data)]) + data).hex()


def bit_reply(function: int, bits: list[bool]) -> str:
    """Return the PDU of a read of coils or discrete inputs: first bit lowest (6.1 and 6.2)."""
    packed = sum(1 << i for i, bit in enumerate(bits) if bit).to_bytes((len(bits) + 7) // 8, "little")
    return (bytes([function, len(packed)]) + packed).hex()


def _value(text: str) -> float | int | str | bool | None:
    named: dict[str, bool | None] = {"null": None, "true": True, "false": False}
    if text in named:
        return named[text]
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text


def golden_line(meter: MeterFile, first: int, count: int, settings: list[str]) -> str:
    """Return the YAML line of one golden reply."""
    block = [UNMAPPED] * count
    bits = [False] * count
    shown: list[str] = []
    raw = {int(k[1:]): int(v) for k, v in (s.split("=", 1) for s in settings) if k.startswith("@")}
    for address, number in raw.items():
        block[address - first] = number & 0xFFFF
    table = meter.modbus.table
    for name, text in (s.split("=", 1) for s in settings):
        if name.startswith("@"):
            continue
        point = meter.points[name]
        table, address = place(meter, point)
        value = text if point.type in (RegisterType.STRING, RegisterType.STRING16) else _value(text)
        if table in (Table.COIL, Table.DISCRETE_INPUT):
            bits[address - first] = bool(value)
        else:
            exponent = raw.get(int(point.scale_at), 0) if point.scale_at is not None else 0
            if text.startswith("0x"):
                found = [int(text[i : i + 4], 16) for i in range(2, len(text), 4)]
                value, text = None, "null"
            else:
                found = words(meter, point, value, exponent)
            block[address - first : address - first + len(found)] = found
        if point.type is RegisterType.UNIX_TIME and value is not None:
            text += "000000000"
        shown.append(f"{name}: {text!r}" if isinstance(value, str) else f"{name}: {text}")
    pdu = bit_reply(table.value, bits) if table.value < 3 else reply(table.value, block)
    place_note = "" if table is Table.HOLDING else f", table: {table.value}"
    return f"  - {{reply: {pdu!r}, block: [{first}, {count}]{place_note}, values: {{{', '.join(shown)}}}}}".replace(
        "'", '"'
    )


if __name__ == "__main__":
    sys.stdout.write(
        golden_line(load_meter(Path(sys.argv[1])), int(sys.argv[2], 0), int(sys.argv[3], 0), sys.argv[4:]) + "\n"
    )
