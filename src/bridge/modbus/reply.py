"""Which reply belongs to which request: the one place that decides, for RTU and TCP alike. Pure.

A reply PDU (Modbus Application Protocol V1.1b3, 6):  function 1 | byte count, echo or data 0..252
An exception (7):                                     function + 80h 1 | code 1

The rule one must not break: a value is taken only from a reply that `mismatch` finds nothing wrong with.
"""

from dataclasses import dataclass

from bridge.modbus import scattered

EXCEPTION_BIT = 0x80
# functions whose reply carries its own length in its second byte
HAS_BYTE_COUNT = frozenset({1, 2, 3, 4, 12, 17, 20, 21, 23})
# the reply repeats this many bytes of the request PDU: function, address, value or count
_REPEATS = {5: 5, 6: 5, 15: 5, 16: 5, 22: 7, 8: 3, 24: 1}
# bytes of the reply PDU where the function alone fixes it
_FIXED_LENGTH = {5: 5, 6: 5, 7: 2, 11: 5, 15: 5, 16: 5, 22: 7}
# encapsulated interface; MEI type 14 reads the device identification (6.21)
_INTERFACE, _IDENTIFICATION = 43, 14
# bytes: function, MEI type, code, conformity, more follows, next object, number of objects
_IDENTIFICATION_HEAD = 7


def pdu_length(request: bytes) -> int | None:
    """Return the length in bytes of the reply PDU to `request`, None if only the reply can tell."""
    function = request[0]
    if len(request) == 5 and function in (3, 4):
        return 2 + 2 * int.from_bytes(request[3:5], "big")
    if len(request) == 5 and function in (1, 2):
        return 2 + (int.from_bytes(request[3:5], "big") + 7) // 8
    if function == 23 and len(request) >= 10:
        return 2 + 2 * int.from_bytes(request[3:5], "big")
    if function == 8 or scattered.addresses_of(request):
        return len(request)
    return _FIXED_LENGTH.get(function)


def reply_length(request: bytes) -> int | None:
    """Return the length in bytes of the RTU reply (unit id and CRC included), None if only the reply can tell."""
    length = pdu_length(request)
    return None if length is None else length + 3


@dataclass(frozen=True, slots=True)
class Shape:
    """What a reply to a request looks like from outside: two requests of one shape can be confused."""

    function: int
    length: int | None


def shape_of(request: bytes) -> Shape:
    return Shape(request[0], reply_length(request))


def mismatch(request: bytes, reply: bytes) -> str | None:
    """Return why `reply` cannot be the answer to `request` (both PDUs), None if it can."""
    if not reply:
        return "expected a reply, found nothing"
    function = request[0]
    if reply[0] == function | EXCEPTION_BIT:
        return None if len(reply) == 2 else f"expected 2 bytes of exception, found {len(reply)}"
    if reply[0] != function:
        return f"expected function {function}, found {reply[0]}"
    expected = pdu_length(request)
    if expected is not None and len(reply) != expected:
        return f"expected {expected} bytes, found {len(reply)}"
    return _wrong_count(reply) or _wrong_echo(request, reply)


def _wrong_count(reply: bytes) -> str | None:
    function, size = reply[0], len(reply)
    if function in HAS_BYTE_COUNT and (size < 2 or reply[1] != size - 2):
        return f"expected a byte count of {size - 2}, found {reply[1:2].hex() or 'none'}"
    if function == 24 and (size < 3 or int.from_bytes(reply[1:3], "big") != size - 3):
        return f"expected a byte count of {size - 3}, found {reply[1:3].hex() or 'none'}"
    return None


def _wrong_echo(request: bytes, reply: bytes) -> str | None:
    function = request[0]
    repeated = scattered.HEAD if scattered.addresses_of(request) else _REPEATS.get(function, 1)
    if reply[:repeated] != request[:repeated]:
        return f"expected {request[:repeated].hex()} repeated, found {reply[:repeated].hex()}"
    if function != _INTERFACE:
        return None
    if reply[1:2] != request[1:2]:
        return f"expected interface type {request[1:2].hex()}, found {reply[1:2].hex()}"
    if request[1:2] == bytes((_IDENTIFICATION,)):
        return _wrong_identification(request, reply)
    return None


def _wrong_identification(request: bytes, reply: bytes) -> str | None:
    if len(reply) < _IDENTIFICATION_HEAD or reply[2:3] != request[2:3]:
        return "expected the identification that was asked for"
    at = _IDENTIFICATION_HEAD
    for _ in range(reply[6]):
        if at + 2 > len(reply):
            return f"expected {reply[6]} identification objects, found fewer"
        at += 2 + reply[at + 1]
    return None if at == len(reply) else f"expected {at} bytes of identification, found {len(reply)}"
