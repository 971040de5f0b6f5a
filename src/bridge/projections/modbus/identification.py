"""
Who the server is: functions 43/14 and 17.

Read Device Identification, function 43 / MEI type 14 (Modbus Application Protocol V1.1b3, 6.21).

    request   43 | 14 | access 1 | object id 1
    reply     43 | 14 | access | conformity | more follows | next object | count | (id | length | ASCII) ...
"""

from bridge.modbus.frame import exception_pdu
from bridge.projections.modbus.plan import Identity

FUNCTION, MEI_TYPE = 43, 14
BASIC, REGULAR, EXTENDED, INDIVIDUAL = 1, 2, 3, 4
# regular identification, stream and individual access
CONFORMITY = 0x82
_LAST_BASIC = 2
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 0x01, 0x02, 0x03


# function 17 (6.13), of serial lines only
REPORT_SERVER_ID = 17
_RUNNING = 0xFF


def objects_of(identity: Identity, version: str) -> tuple[bytes, ...]:
    """Return objects 0 to 6; each at most 32 bytes, so that all fit one reply."""
    texts = (
        identity.vendor,
        identity.product,
        identity.version or version,
        identity.url,
        identity.name,
        identity.model,
        identity.application,
    )
    return tuple(text.encode("ascii", "replace")[:32] for text in texts)


def server_id(objects: tuple[bytes, ...]) -> bytes:
    """
    Return the reply to function 17: 11h | byte count | server id | run indicator FFh (6.13).

    The server id is vendor, product and version as ASCII, a space between them.
    """
    name = b" ".join(text for text in objects[: _LAST_BASIC + 1] if text)
    return bytes((REPORT_SERVER_ID, len(name) + 1)) + name + bytes((_RUNNING,))


def answer(pdu: bytes, objects: tuple[bytes, ...]) -> bytes:
    """Return the reply to a request of function 43."""
    if len(pdu) < 2 or pdu[1] != MEI_TYPE:
        return exception_pdu(FUNCTION, ILLEGAL_FUNCTION)
    if len(pdu) != 4 or not BASIC <= pdu[2] <= INDIVIDUAL:
        return exception_pdu(FUNCTION, ILLEGAL_VALUE)
    access, first = pdu[2], pdu[3]
    if access == INDIVIDUAL:
        if first >= len(objects):
            return exception_pdu(FUNCTION, ILLEGAL_ADDRESS)
        wanted = range(first, first + 1)
    else:
        last = _LAST_BASIC if access == BASIC else len(objects) - 1
        # an object id that is not there: start again at the first (6.21)
        wanted = range(first if first <= last else 0, last + 1)
    listed = b"".join(bytes((n, len(objects[n]))) + objects[n] for n in wanted)
    return bytes((FUNCTION, MEI_TYPE, access, CONFORMITY, 0, 0, len(wanted))) + listed
