"""
The bridge itself, unit id 255: identification (function 43/14) and a block of status registers (functions 3 and 4).

    register    what (32-bit unsigned, high word first, counting since the start of the gateway)
    0           layout version, 1
    1           clients connected now
    2, 3        seconds since the start
    4, 5        requests            6, 7    replies of devices       8, 9    exceptions of devices
    10, 11      refused by policy   12, 13  units without an answer  14, 15  unit ids that lead nowhere
    16, 17      joined reads        18, 19  reads from memory        20, 21  held off
    22, 23      broken requests
"""

from collections.abc import Mapping

from bridge.core.clock import Clock
from bridge.modbus.frame import exception_pdu
from bridge.modbus.request import RequestError, touched

LAYOUT_VERSION = 1
# counters in the order of the registers from 4 on
STATUS_COUNTERS = (
    "requests",
    "replies",
    "device_exceptions",
    "refused_policy",
    "no_reply",
    "no_path",
    "joined",
    "cached",
    "held_off",
    "bad_frames",
)
REGISTERS = 4 + 2 * len(STATUS_COUNTERS)
_IDENTIFY, _MEI_TYPE = 43, 14
_CONFORMITY = 0x82
_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _ILLEGAL_VALUE = 1, 2, 3
# access code -> object ids it streams; 4 = one object (Modbus Application Protocol V1.1b3, 6.21)
_STREAMED = {1: range(3), 2: range(7), 3: range(7)}


class OwnUnit:
    """Answers for the bridge. `counters`: those of the worker, live."""

    def __init__(self, version: str, site: str, counters: Mapping[str, int], clock: Clock) -> None:
        texts = ("meterbridge", "MB-GW", version, "", "meterbridge", "Modbus gateway", site)
        self._objects = [text.encode("ascii", "replace")[:32] for text in texts]
        self._counters, self._clock = counters, clock
        self._began_ns = clock.monotonic_ns()

    def reply(self, pdu: bytes) -> bytes:
        """Return the reply PDU to any request."""
        function = pdu[0]
        if function == _IDENTIFY:
            return self._identify(pdu)
        if function not in (3, 4):
            return exception_pdu(function & 0x7F, _ILLEGAL_FUNCTION)
        try:
            (asked,) = touched(pdu)
        except RequestError:
            return exception_pdu(function, _ILLEGAL_VALUE)
        if asked.address + asked.count > REGISTERS:
            return exception_pdu(function, _ILLEGAL_ADDRESS)
        data = self._status()[2 * asked.address : 2 * (asked.address + asked.count)]
        return bytes((function, len(data))) + data

    def _status(self) -> bytes:
        counters = self._counters
        uptime_s = (self._clock.monotonic_ns() - self._began_ns) // 1_000_000_000
        words = [uptime_s, *(counters.get(name, 0) for name in STATUS_COUNTERS)]
        head = LAYOUT_VERSION.to_bytes(2, "big") + min(counters.get("connections", 0), 0xFFFF).to_bytes(2, "big")
        return head + b"".join((word & 0xFFFF_FFFF).to_bytes(4, "big") for word in words)

    def _identify(self, pdu: bytes) -> bytes:
        if len(pdu) < 2 or pdu[1] != _MEI_TYPE:
            return exception_pdu(_IDENTIFY, _ILLEGAL_FUNCTION)
        if len(pdu) != 4 or not 1 <= pdu[2] <= 4:
            return exception_pdu(_IDENTIFY, _ILLEGAL_VALUE)
        access, first = pdu[2], pdu[3]
        if access == 4:
            if first >= len(self._objects):
                return exception_pdu(_IDENTIFY, _ILLEGAL_ADDRESS)
            wanted = range(first, first + 1)
        else:
            streamed = _STREAMED[access]
            wanted = range(first if first in streamed else 0, streamed.stop)
        listed = b"".join(bytes((n, len(self._objects[n]))) + self._objects[n] for n in wanted)
        return bytes((_IDENTIFY, _MEI_TYPE, access, _CONFORMITY, 0, 0, len(wanted))) + listed
