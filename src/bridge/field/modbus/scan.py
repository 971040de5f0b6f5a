"""Who is on a line, and which meter of the library is it: a question per unit id and fingerprint."""

import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from bridge.config.model import Fingerprint, Register, Signature
from bridge.core.errors import ConnectFailed, ConnectionLost, FieldError
from bridge.core.point import Kind, PointDef
from bridge.field.arbiter import Use
from bridge.field.modbus.ask import Asker
from bridge.field.modbus.decode import decoder_for
from bridge.modbus.frame import EXCEPTION_BIT, read_pdu

# fairness key of a scan on the line
USER = "scan"
# read device identification, basic objects (Modbus Application Protocol V1.1b3, 6.21)
_IDENTIFY = bytes((0x2B, 0x0E, 0x01, 0x00))
# report server id (6.13), of serial lines only: text of the maker's, run indicator 00h or FFh, more of the maker's
_SERVER_ID = bytes((17,))
_RUN_STATES = {0x00: "stopped", 0xFF: "running"}
_OBJECT_NAMES = {0: "vendor", 1: "product", 2: "version"}
_ATTEMPTS = 1


class Behind(enum.Enum):
    """Where the devices stand: function 17 is one of serial lines only."""

    SERIAL = "serial line"
    NETWORK = "network"


Read = Callable[[Register], Awaitable[bytes | None]]


@dataclass(frozen=True, slots=True)
class Found:
    """A unit id that answered. `meter`: of the library, "" if none fits. `identity`: what it says of itself."""

    unit_id: int
    meter: str
    identity: dict[str, str]


async def scan(
    asker: Asker,
    unit_ids: Iterable[int],
    fingerprints: Sequence[Fingerprint],
    timeout_s: float,
    behind: Behind = Behind.NETWORK,
) -> AsyncIterator[Found | int]:
    """
    Yield a Found for each unit id that answers, the bare unit id for each that is silent.

    A unit id costs one time-out if nobody has it. Function 17 is asked where 43/14 says nothing.
    Raises: ConnectFailed, ConnectionLost when the line itself is down.
    """
    for unit_id in unit_ids:
        found = await identify(asker, unit_id, fingerprints, timeout_s, behind)
        yield unit_id if found is None else found


async def identify(
    asker: Asker, unit_id: int, fingerprints: Sequence[Fingerprint], timeout_s: float, behind: Behind = Behind.NETWORK
) -> Found | None:
    """
    Return what a unit id is, None if it does not answer at all. Raises: as `scan`.
    """
    asked: dict[tuple[int, int, int], bytes | None] = {}
    answered = False

    async def read(register: Register) -> bytes | None:
        nonlocal answered
        key = register.table.value, register.address, register.count
        if key not in asked:
            reply = await _ask(asker, unit_id, read_pdu(*key), timeout_s)
            answered = answered or reply is not None
            asked[key] = reply[2:] if reply is not None and not reply[0] & EXCEPTION_BIT else None
        return asked[key]

    meter = ""
    for fingerprint in fingerprints:
        if await _fits(fingerprint, read):
            meter = fingerprint.meter
            break
        if not answered:
            return None
    identity = await _identity(asker, unit_id, timeout_s, behind) if answered else {}
    return Found(unit_id, meter, identity) if answered else None


async def _fits(fingerprint: Fingerprint, read: Read) -> bool:
    for signature in fingerprint.signatures:
        data = await read(signature.register)
        if data is None or not _holds(signature, data):
            return False
    return True


def _holds(signature: Signature, data: bytes) -> bool:
    register = signature.register
    is_text = register.type.value.startswith("string")
    kind = Kind.TEXT if is_text else Kind.MULTISTATE
    value, _ = decoder_for(register, PointDef(-1, "scan.signature", kind))(data)
    text = "" if value is None else str(value).strip()
    return text == signature.text if signature.equals else text.startswith(signature.text)


async def _identity(asker: Asker, unit_id: int, timeout_s: float, behind: Behind) -> dict[str, str]:
    reply = await _ask(asker, unit_id, _IDENTIFY, timeout_s)
    found = objects_of(reply) if reply is not None and not reply[0] & EXCEPTION_BIT else {}
    if found or behind is Behind.NETWORK:
        return found
    reply = await _ask(asker, unit_id, _SERVER_ID, timeout_s)
    return server_id_of(reply) if reply is not None and not reply[0] & EXCEPTION_BIT else {}


def server_id_of(reply: bytes) -> dict[str, str]:
    """
    Return what a function 17 reply says: the printable text before the run indicator as `product`, and `state`.

    Where the id ends only its maker knows; the first 00h or FFh behind a byte of it is taken for the indicator. An id
    that is no text is told in hexadecimal.
    """
    body = reply[2:]
    at = next((n for n, byte in enumerate(body) if n and byte in _RUN_STATES), len(body))
    name = body[:at]
    text = name.decode("latin-1").strip()
    printable = text.isascii() and text.isprintable()
    found = {"product": text if printable else name.hex()} if name else {}
    return {**found, "state": _RUN_STATES[body[at]]} if at < len(body) else found


def objects_of(reply: bytes) -> dict[str, str]:
    """Return the basic objects of a function 43/14 reply; what is cut short is left out."""
    found: dict[str, str] = {}
    if len(reply) < 7:
        return found
    at = 7
    for _ in range(reply[6]):
        if at + 2 > len(reply):
            break
        number, length = reply[at], reply[at + 1]
        text = reply[at + 2 : at + 2 + length]
        if len(text) < length:
            break
        if number in _OBJECT_NAMES:
            found[_OBJECT_NAMES[number]] = text.decode("latin-1").strip("\0 ")
        at += 2 + length
    return found


async def _ask(asker: Asker, unit_id: int, pdu: bytes, timeout_s: float) -> bytes | None:
    """Return the reply, None for silence or noise. Raises: ConnectFailed, ConnectionLost."""
    try:
        return await asker.ask(Use.COMMAND, USER, unit_id, pdu, timeout_s, _ATTEMPTS)
    except (ConnectFailed, ConnectionLost):
        raise
    except FieldError:
        return None
