"""What a request touches: the registers and coils it reads and writes. Pure; for policies on both sides of the link.

The rule one must not break: of a write that cannot be read as its function is written in the standard nobody knows what
it touches, so `touched` raises instead of guessing (Modbus Application Protocol V1.1b3, 6).
"""

import enum
from dataclasses import dataclass

from bridge.modbus.reply import EXCEPTION_BIT

READ_COILS, READ_INPUTS, READ_HOLDING, READ_INPUT_REGISTERS = 1, 2, 3, 4
# functions that change nothing in a device; 43 only with MEI type 14. 8 (diagnostics) can silence one.
_ONLY_READ = frozenset({1, 2, 3, 4, 7, 11, 12, 17, 20, 24})
_INTERFACE, _IDENTIFICATION = 43, 14
# function -> most items of one request (6.1 to 6.4, 6.11, 6.12, 6.17)
_MOST_READ = {1: 2000, 2: 2000, 3: 125, 4: 125}
_MOST_WRITTEN = {15: 1968, 16: 123}
_MOST_READ_WITH_WRITE, _MOST_WRITTEN_WITH_READ = 125, 121
_COIL_VALUES = (0x0000, 0xFF00)


class RequestError(ValueError):
    """A request that is not as its function is written in the standard."""


class Area(enum.Enum):
    """The tables of a device."""

    COILS = "coils"
    INPUTS = "inputs"
    HOLDING = "holding registers"
    INPUT_REGISTERS = "input registers"
    # files, FIFO queues, functions the standard does not know
    OTHER = "other"


_READ_AREAS = {1: Area.COILS, 2: Area.INPUTS, 3: Area.HOLDING, 4: Area.INPUT_REGISTERS}


class Effect(enum.Enum):
    """What a request does to what it touches."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Extent:
    """`count` items from the 0-based `address` on."""

    effect: Effect
    area: Area
    address: int
    count: int

    def overlaps(self, address: int, count: int) -> bool:
        return self.address < address + count and address < self.address + self.count


def only_reads(pdu: bytes) -> bool:
    """Tell whether a request, by its function alone, changes nothing in a device."""
    return pdu[0] in _ONLY_READ or (pdu[0] == _INTERFACE and pdu[1:2] == bytes((_IDENTIFICATION,)))


def touched(pdu: bytes) -> tuple[Extent, ...]:
    """
    Return what a request with a known meaning touches; nothing for a function whose data have no register addresses.

    Raises: RequestError.
    """
    if not pdu or not 0 < pdu[0] < EXCEPTION_BIT:
        raise RequestError("expected a function from 1 to 127")
    function = pdu[0]
    if function in _READ_AREAS:
        return (_read(pdu),)
    if function in (5, 6):
        _sized(pdu, 5)
        if function == 5 and _word(pdu, 3) not in _COIL_VALUES:
            raise RequestError(f"expected FF00 or 0000 as the state of a coil, found {_word(pdu, 3):04X}")
        return (_extent(Effect.WRITE, Area.COILS if function == 5 else Area.HOLDING, _word(pdu, 1), 1),)
    if function in (15, 16):
        return (_write_many(pdu),)
    if function == 22:
        _sized(pdu, 7)
        return (_extent(Effect.WRITE, Area.HOLDING, _word(pdu, 1), 1),)
    if function == 23:
        return _read_and_write(pdu)
    return ()


def _read(pdu: bytes) -> Extent:
    _sized(pdu, 5)
    return _extent(Effect.READ, _READ_AREAS[pdu[0]], _word(pdu, 1), _count(_word(pdu, 3), _MOST_READ[pdu[0]]))


def _write_many(pdu: bytes) -> Extent:
    if len(pdu) < 7:
        raise RequestError(f"expected at least 7 bytes, found {len(pdu)}")
    count = _count(_word(pdu, 3), _MOST_WRITTEN[pdu[0]])
    data_bytes = (count + 7) // 8 if pdu[0] == 15 else 2 * count
    if pdu[5] != data_bytes or len(pdu) != 6 + data_bytes:
        raise RequestError(f"expected {data_bytes} bytes of values, found {len(pdu) - 6} and a count of {pdu[5]}")
    return _extent(Effect.WRITE, Area.COILS if pdu[0] == 15 else Area.HOLDING, _word(pdu, 1), count)


def _read_and_write(pdu: bytes) -> tuple[Extent, ...]:
    if len(pdu) < 12:
        raise RequestError(f"expected at least 12 bytes, found {len(pdu)}")
    read = _count(_word(pdu, 3), _MOST_READ_WITH_WRITE)
    written = _count(_word(pdu, 7), _MOST_WRITTEN_WITH_READ)
    if pdu[9] != 2 * written or len(pdu) != 10 + 2 * written:
        raise RequestError(f"expected {2 * written} bytes of values, found {len(pdu) - 10} and a count of {pdu[9]}")
    return (
        _extent(Effect.READ, Area.HOLDING, _word(pdu, 1), read),
        _extent(Effect.WRITE, Area.HOLDING, _word(pdu, 5), written),
    )


def _extent(effect: Effect, area: Area, address: int, count: int) -> Extent:
    if address + count > 0x10000:
        raise RequestError(f"expected an end within 65535, found {address} and {count} items")
    return Extent(effect, area, address, count)


def _sized(pdu: bytes, length: int) -> None:
    if len(pdu) != length:
        raise RequestError(f"expected {length} bytes, found {len(pdu)}")


def _count(count: int, most: int) -> int:
    if not 1 <= count <= most:
        raise RequestError(f"expected 1 to {most} items, found {count}")
    return count


def _word(pdu: bytes, at: int) -> int:
    return int.from_bytes(pdu[at : at + 2], "big")
