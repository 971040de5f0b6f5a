"""
Requests in the byte stream of a client, in either framing. Pure.

    MBAP  transaction 2 | protocol 0 2 | length 2 | unit 1 | PDU        (Messaging on TCP/IP V1.0b, 3.1.3)
    RTU   unit 1 | PDU | CRC 2, low byte first                          (Modbus over Serial Line V1.02, 2.5.1)
"""

from typing import Protocol

from bridge.modbus.frame import MAX_RTU_LENGTH, MbapError, MbapReader, crc_holds, rtu_frame, tcp_frame

# a request: transaction (0 in RTU), unit id, PDU
Request = tuple[int, int, bytes]
# bytes of an RTU request: unit, function, CRC and what the function fixes
_FIXED = {1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8, 7: 4, 8: 8, 11: 4, 12: 4, 17: 4, 22: 10, 24: 6}
# function -> where the byte count of the data stands, counted in the frame
_COUNT_AT = {15: 6, 16: 6, 20: 2, 21: 2, 23: 10}
_INTERFACE, _IDENTIFICATION, _IDENTIFICATION_LENGTH = 43, 14, 7
_SHORTEST = 4


class StreamError(ValueError):
    """The byte stream cannot be what this listener speaks; nothing after this point can be trusted."""


class Stream(Protocol):
    def feed(self, data: bytes) -> None: ...

    def next(self) -> Request | None:
        """Return the next whole request, None for none. Raises: StreamError."""
        ...

    def pending(self) -> bool:
        """Tell whether anything is left in hand."""
        ...

    def frame(self, transaction: int, unit_id: int, pdu: bytes) -> bytes: ...


class MbapStream:
    def __init__(self) -> None:
        self._reader = MbapReader()

    def feed(self, data: bytes) -> None:
        self._reader.feed(data)

    def next(self) -> Request | None:
        try:
            return self._reader.next()
        except MbapError as exc:
            raise StreamError(str(exc)) from exc

    def pending(self) -> bool:
        return len(self._reader) > 0

    def frame(self, transaction: int, unit_id: int, pdu: bytes) -> bytes:
        return tcp_frame(transaction, unit_id, pdu)


class RtuStream:
    """A function the standard does not know ends where the CRC says so: such clients send one request at a time."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> Request | None:
        buffer = self._buffer
        if len(buffer) < _SHORTEST:
            return None
        length = _length(buffer)
        if length is None:
            if crc_holds(buffer) and len(buffer) <= MAX_RTU_LENGTH:
                length = len(buffer)
            elif len(buffer) < MAX_RTU_LENGTH:
                return None
            else:
                raise StreamError(f"expected a request of at most {MAX_RTU_LENGTH} bytes, found {len(buffer)}")
        if length > MAX_RTU_LENGTH:
            raise StreamError(f"expected a request of at most {MAX_RTU_LENGTH} bytes, found {length}")
        if len(buffer) < length:
            return None
        frame, self._buffer = buffer[:length], buffer[length:]
        if not crc_holds(frame):
            raise StreamError("expected a CRC that holds")
        return 0, frame[0], frame[1:-2]

    def pending(self) -> bool:
        return bool(self._buffer)

    def frame(self, transaction: int, unit_id: int, pdu: bytes) -> bytes:
        return rtu_frame(unit_id, pdu)


def _length(buffer: bytes) -> int | None:
    """Return the length of the request that begins in `buffer`; None if only its end can tell, or more bytes."""
    function = buffer[1]
    if function in _FIXED:
        return _FIXED[function]
    at = _COUNT_AT.get(function)
    if at is not None:
        return None if len(buffer) <= at else at + 3 + buffer[at]
    if function == _INTERFACE and buffer[2] == _IDENTIFICATION:
        return _IDENTIFICATION_LENGTH
    return None
