"""A serial line in virtual time: bytes appear one character time apart, as a device would send them."""

import asyncio
from collections.abc import Callable

from bridge.core.clock import Clock
from bridge.field.alarm import Alarm, LoopAlarm
from bridge.field.modbus.master import RtuMaster
from bridge.field.modbus.master_settings import MasterSettings
from bridge.modbus.frame import read_pdu, rtu_frame
from bridge.modbus.timing import LineTiming

TIMING = LineTiming(baud=9600, bits_per_char=10, latency_s=0.002)
TURNAROUND_S = 0.01
Respond = Callable[[bytes], bytes]


class LoopClock:
    """The loop's (virtual) time as the bridge's clock."""

    def utc_ns(self) -> int:
        return self.monotonic_ns()

    def monotonic_ns(self) -> int:
        return round(asyncio.get_running_loop().time() * 1e9)


class FakeWire:
    """A `Port` with a device behind it."""

    def __init__(self, respond: Respond, chunk: int = 1) -> None:
        self.respond, self.chunk = respond, chunk
        self.late_s: list[float] = []
        self.requests: list[tuple[float, bytes]] = []
        self.last_byte_at = float("-inf")
        self.lost: OSError | None = None
        self._buffer = b""
        self._open = False
        self._muted = False
        self._answers_until = 0.0

    def open(self, readable: Callable[[], None]) -> None:
        if self.lost is not None:
            raise self.lost
        self._readable, self._open = readable, True

    def is_open(self) -> bool:
        return self._open

    def read(self) -> bytes:
        if self.lost is not None:
            self._open = False
            raise self.lost
        data, self._buffer = self._buffer, b""
        return data

    def write(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.requests.append((loop.time(), data))
        start_s = len(data) * TIMING.char_s + TURNAROUND_S + (self.late_s.pop(0) if self.late_s else 0.0)
        reply = self.respond(data)
        start_s = max(start_s, self._answers_until - loop.time())  # a device answers in order
        self._answers_until = loop.time() + start_s + len(reply) * TIMING.char_s
        self.send(reply, start_s)

    def send(self, data: bytes, start_s: float = 0.0) -> None:
        loop = asyncio.get_running_loop()
        for at in range(0, len(data), self.chunk):
            piece = data[at : at + self.chunk]
            loop.call_later(start_s + (at + len(piece)) * TIMING.char_s, self._arrive, piece)

    def expect(self, count: int) -> None:
        self.expected = count

    def mute(self) -> None:
        self._muted = True

    def listen(self) -> None:
        self._muted = False
        if self._buffer:
            asyncio.get_running_loop().call_soon(self._readable)

    def close(self) -> None:
        self._open = False

    def _arrive(self, piece: bytes) -> None:
        self.last_byte_at = asyncio.get_running_loop().time()
        self._buffer += piece
        if not self._muted:
            self._readable()


def meter(request: bytes) -> bytes:
    """Answer reads with register value = address; refuse address 9999; repeat writes."""
    unit_id, function = request[0], request[1]
    if function in (3, 4):
        address, count = int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
        if address == 9999:
            return rtu_frame(unit_id, bytes((function | 0x80, 2)))
        return rtu_frame(unit_id, read_reply(address, count, function))
    if function == 43:
        return rtu_frame(unit_id, b"\x2b\x0e\x01\x01\x00\x00\x01\x00\x04TEST")
    return rtu_frame(unit_id, request[1:6])


def read_reply(address: int, count: int, function: int = 3) -> bytes:
    words = b"".join((address + n).to_bytes(2, "big") for n in range(count))
    return bytes((function, 2 * count)) + words


def read(address: int, count: int) -> bytes:
    return read_pdu(3, address, count)


def master_on(wire: FakeWire, **settings: object) -> RtuMaster:
    clock: Clock = LoopClock()

    def make_alarm(ring: Callable[[], None]) -> Alarm:
        return LoopAlarm(asyncio.get_running_loop(), clock, ring)

    return RtuMaster(wire, MasterSettings("test", TIMING, **settings), clock, make_alarm)  # type: ignore[arg-type]
