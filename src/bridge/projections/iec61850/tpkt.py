"""
The first message of an MMS connection, judged by the guard: a whole COTP connection request.

    TPKT (RFC 1006, 6):  version 3 | reserved 0 | length (2, high byte first, header included)
    COTP (ISO 8073, 13.3): length of the header | 0xE0 connection request | ...
"""

from typing import Final

_HEADER, _VERSION = 4, 3
_CONNECTION_REQUEST: Final = 0xE0
# Octets. A connection request is 22 to 60; 7 are the fixed part of its header.
_LEAST, _MOST = _HEADER + 7, 256


def is_whole_request(data: bytes) -> bool:
    """Tell whether `data` starts with a whole connection request. Raises: ValueError when it can never become one."""
    if not data.startswith(bytes((_VERSION,))):
        raise ValueError("no TPKT")
    if len(data) < _HEADER:
        return False
    length = int.from_bytes(data[2:4], "big")
    if not _LEAST <= length <= _MOST:
        raise ValueError(f"TPKT of {length} octets")
    if len(data) > _HEADER + 1 and data[_HEADER + 1] & 0xF0 != _CONNECTION_REQUEST:
        raise ValueError("no COTP connection request")
    return len(data) >= length
