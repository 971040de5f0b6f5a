"""The poller's and the writer's view of a line or connection: ask one unit one PDU."""

import enum
from typing import Protocol

from bridge.field.line import Use
from bridge.modbus.frame import EXCEPTION_BIT

# Modbus Application Protocol V1.1b3, 7; 0x0A and 0x0B are a gateway's word that the device itself is silent
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
ACKNOWLEDGE, BUSY = 5, 6
GATEWAY_CODES = frozenset({0x0A, 0x0B})


class Asker(Protocol):
    """One channel's exchanges (`field.line.Line`, a TCP client)."""

    async def ask(self, use: Use, user: str, unit_id: int, pdu: bytes, timeout_s: float, attempts: int = 2) -> bytes:
        """Return the reply PDU, a device's exception included. Raises: FieldError."""
        ...


class Verdict(enum.Enum):
    """What a reply PDU is."""

    GOOD = "good"
    EXCEPTION = "exception"
    NONSENSE = "nonsense"


def judge(function: int, reply: bytes, data_bytes: int) -> Verdict:
    """Tell what the reply to a read of `data_bytes` is; a length that is not as asked is nonsense."""
    if len(reply) == 2 and reply[0] == function | EXCEPTION_BIT:
        return Verdict.EXCEPTION
    if len(reply) == 2 + data_bytes and reply[0] == function and reply[1] == data_bytes:
        return Verdict.GOOD
    return Verdict.NONSENSE
