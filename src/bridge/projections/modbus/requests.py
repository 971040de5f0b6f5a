"""
Request PDU -> reply PDU, or the writes it asks for. Pure; clauses are those of Modbus Application Protocol V1.1b3.

Checks come in the order of the clauses: function (01), quantity and length (03), address (02), value (03).
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from bridge.core.command import CommandResult, Outcome
from bridge.core.point import Value
from bridge.core.ports import PointReader
from bridge.modbus import scattered
from bridge.modbus.frame import exception_pdu
from bridge.projections.modbus import identification
from bridge.projections.modbus.plan import ADDRESSES
from bridge.projections.modbus.tables import Bits, Cells, Registers, Unit

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 0x01, 0x02, 0x03
DEVICE_FAILURE, DEVICE_BUSY, NO_PATH, NO_REPLY = 0x04, 0x06, 0x0A, 0x0B
READ_COILS, READ_INPUTS, READ_HOLDING, READ_INPUT_REGISTERS = 1, 2, 3, 4
WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS = 5, 6, 15, 16
WRITE_FILE, MASK_WRITE, READ_WRITE = 21, 22, 23
WRITES = frozenset({WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS, WRITE_FILE, MASK_WRITE, READ_WRITE})
# quantities of one request: 6.1, 6.3, 6.11, 6.12, 6.17
MOST_READ_BITS, MOST_READ_REGISTERS = 2000, 125
MOST_WRITTEN_BITS, MOST_WRITTEN_REGISTERS, MOST_WRITTEN_BY_READ_WRITE = 0x7B0, 0x7B, 0x79
# 6.5: the only values of a single coil
_COIL_ON, _COIL_OFF = 0xFF00, 0x0000

_TWO = struct.Struct(">HH")
_THREE = struct.Struct(">HHH")
_FOUR = struct.Struct(">HHHH")


class Refused(Exception):
    """The request is answered by an exception reply."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code:#04x}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Write:
    """The commands a request asks for, in address order, and the reply once all are done."""

    commands: list[tuple[int, Value]]
    reply: Callable[[], bytes]


# outcome of a command -> exception code; docs/protocols/modbus.md explains the choice
_CODES = {
    Outcome.REFUSED_BY_POLICY: ILLEGAL_FUNCTION,
    Outcome.NOT_WRITABLE: ILLEGAL_VALUE,
    Outcome.OUT_OF_RANGE: ILLEGAL_VALUE,
    Outcome.BUSY: DEVICE_BUSY,
    Outcome.TIMED_OUT: NO_REPLY,
    Outcome.DEVICE_REFUSED: DEVICE_FAILURE,
}


def code_of(result: CommandResult) -> int:
    """Return the exception code of an outcome, 0 for DONE; a device's own code is passed on."""
    if result.outcome is Outcome.DONE:
        return 0
    if result.outcome is Outcome.DEVICE_REFUSED and 0 < result.device_code <= 0xFF:
        return result.device_code
    return _CODES[result.outcome]


class Requests:
    """Answers requests to the units of an image."""

    def __init__(self, units: dict[int, Unit], points: PointReader, objects: tuple[bytes, ...]) -> None:
        self._units, self._points, self._objects = units, points, objects

    def reply(self, unit_id: int, pdu: bytes) -> bytes | Write:
        """Return the reply PDU, or the Write to carry out first. `pdu` has at least one byte."""
        unit = self._units.get(unit_id)
        function = pdu[0]
        try:
            if unit is None:
                raise Refused(NO_PATH)
            if function in (READ_HOLDING, READ_INPUT_REGISTERS):
                return self._read_registers(unit.registers, pdu)
            if function in (READ_COILS, READ_INPUTS):
                return _read_bits(unit.coils if function == READ_COILS else unit.inputs, pdu)
            if function == scattered.FUNCTION:
                return self._read_scattered(unit.registers, pdu)
            if function == identification.FUNCTION:
                return identification.answer(pdu, self._objects)
            return self._write(unit, function, pdu)
        except Refused as refused:
            return exception_pdu(function & 0x7F, refused.code)

    def _read_registers(self, table: Registers, pdu: bytes) -> bytes:
        if len(pdu) != 5:
            raise Refused(ILLEGAL_VALUE)
        address, count = _TWO.unpack_from(pdu, 1)
        if not 1 <= count <= MOST_READ_REGISTERS:
            raise Refused(ILLEGAL_VALUE)
        return bytes((pdu[0], 2 * count)) + self._registers(table, address, count)

    def _read_scattered(self, table: Registers, pdu: bytes) -> bytes:
        if pdu[2:3] != bytes((scattered.SUB_FUNCTION,)):
            raise Refused(ILLEGAL_FUNCTION)
        addresses = scattered.addresses_of(pdu)
        if not addresses:
            raise Refused(ILLEGAL_VALUE)
        return scattered.reply(pdu, b"".join(self._registers(table, address, 1) for address in addresses))

    def _registers(self, table: Registers, address: int, count: int) -> bytes:
        end = address + count
        if end > table.size:
            raise Refused(ILLEGAL_ADDRESS)
        if table.marks.count(0, address, end) != count:
            code = table.refusal(address, count)
            if code:
                raise Refused(code)
            table.renew_times(address, end, self._points)
        return bytes(table.memory[2 * address : 2 * end])

    def _write(self, unit: Unit, function: int, pdu: bytes) -> Write:
        if function == WRITE_COIL:
            return _write_coil(unit.coils, pdu)
        if function == WRITE_COILS:
            return _write_coils(unit.coils, pdu)
        if function == WRITE_REGISTER:
            return _write_register(unit.registers, pdu)
        if function == WRITE_REGISTERS:
            return _write_registers(unit.registers, pdu)
        if function == MASK_WRITE:
            return self._mask_write(unit.registers, pdu)
        if function == READ_WRITE:
            return self._read_write(unit.registers, pdu)
        raise Refused(ILLEGAL_FUNCTION)

    def _mask_write(self, table: Registers, pdu: bytes) -> Write:
        """6.16: (current AND and_mask) OR (or_mask AND NOT and_mask), of a present reading only."""
        if len(pdu) != 7:
            raise Refused(ILLEGAL_VALUE)
        address, keep, put = _THREE.unpack_from(pdu, 1)
        # refuse first: what may not be written may not be tried
        _targets(table, address, 1)
        current = int.from_bytes(self._registers(table, address, 1), "big")
        word = (current & keep) | (put & ~keep & 0xFFFF)
        return Write(_register_commands(table, address, word.to_bytes(2, "big")), lambda: pdu)

    def _read_write(self, table: Registers, pdu: bytes) -> Write:
        """6.17: the write first, then the read."""
        if len(pdu) < 10:
            raise Refused(ILLEGAL_VALUE)
        read_at, read_count, address, count = _FOUR.unpack_from(pdu, 1)
        good = 1 <= read_count <= MOST_READ_REGISTERS and 1 <= count <= MOST_WRITTEN_BY_READ_WRITE
        if not good or pdu[9] != 2 * count or len(pdu) != 10 + 2 * count:
            raise Refused(ILLEGAL_VALUE)
        self._registers(table, read_at, read_count)
        commands = _register_commands(table, address, pdu[10:])

        def read() -> bytes:
            return bytes((READ_WRITE, 2 * read_count)) + self._registers(table, read_at, read_count)

        return Write(commands, read)


def _read_bits(bits: Bits, pdu: bytes) -> bytes:
    if len(pdu) != 5:
        raise Refused(ILLEGAL_VALUE)
    address, count = _TWO.unpack_from(pdu, 1)
    if not 1 <= count <= MOST_READ_BITS:
        raise Refused(ILLEGAL_VALUE)
    if address + count > bits.size:
        raise Refused(ILLEGAL_ADDRESS)
    code = bits.refusal(address, count)
    if code:
        raise Refused(code)
    data = bits.packed(address, count)
    return bytes((pdu[0], len(data))) + data


def _write_coil(coils: Bits, pdu: bytes) -> Write:
    if len(pdu) != 5:
        raise Refused(ILLEGAL_VALUE)
    address, word = _TWO.unpack_from(pdu, 1)
    if word not in (_COIL_ON, _COIL_OFF):
        raise Refused(ILLEGAL_VALUE)
    return Write(_coil_commands(coils, address, b"1" if word else b"0"), lambda: pdu)


def _write_coils(coils: Bits, pdu: bytes) -> Write:
    if len(pdu) < 6:
        raise Refused(ILLEGAL_VALUE)
    address, count = _TWO.unpack_from(pdu, 1)
    size = (count + 7) // 8
    if not 1 <= count <= MOST_WRITTEN_BITS or pdu[5] != size or len(pdu) != 6 + size:
        raise Refused(ILLEGAL_VALUE)
    number = int.from_bytes(pdu[6:], "little")
    digits = bytes(ord("1" if number >> n & 1 else "0") for n in range(count))
    return Write(_coil_commands(coils, address, digits), lambda: pdu[:5])


def _write_register(table: Registers, pdu: bytes) -> Write:
    if len(pdu) != 5:
        raise Refused(ILLEGAL_VALUE)
    address = _TWO.unpack_from(pdu, 1)[0]
    return Write(_register_commands(table, address, pdu[3:]), lambda: pdu)


def _write_registers(table: Registers, pdu: bytes) -> Write:
    if len(pdu) < 6:
        raise Refused(ILLEGAL_VALUE)
    address, count = _TWO.unpack_from(pdu, 1)
    if not 1 <= count <= MOST_WRITTEN_REGISTERS or pdu[5] != 2 * count or len(pdu) != 6 + 2 * count:
        raise Refused(ILLEGAL_VALUE)
    return Write(_register_commands(table, address, pdu[6:]), lambda: pdu[:5])


def _targets(cells: Cells, address: int, count: int) -> None:
    """Raises: Refused 02 if anything of the range is unmapped, 03 if it starts at nothing writable."""
    if address + count > min(cells.size, ADDRESSES) or not cells.are_mapped(address, count):
        raise Refused(ILLEGAL_ADDRESS)
    if address not in cells.targets:
        raise Refused(ILLEGAL_VALUE)


def _coil_commands(coils: Bits, address: int, digits: bytes) -> list[tuple[int, Value]]:
    _targets(coils, address, len(digits))
    commands: list[tuple[int, Value]] = []
    for at in range(len(digits)):
        target = coils.targets.get(address + at)
        if target is None:
            raise Refused(ILLEGAL_VALUE)
        commands.append((target.index, target.decode(digits[at : at + 1])))
    return commands


def _register_commands(table: Registers, address: int, data: bytes) -> list[tuple[int, Value]]:
    """Take whole values only: a part of a multi-word value is refused with 03 (seed 004, l.3229)."""
    end = address + len(data) // 2
    _targets(table, address, end - address)
    commands: list[tuple[int, Value]] = []
    at = address
    while at < end:
        target = table.targets.get(at)
        if target is None or at + target.registers > end:
            raise Refused(ILLEGAL_VALUE)
        offset = 2 * (at - address)
        value = target.decode(data[offset : offset + 2 * target.registers])
        if value is None:
            raise Refused(ILLEGAL_VALUE)
        commands.append((target.index, value))
        at += target.registers
    return commands
