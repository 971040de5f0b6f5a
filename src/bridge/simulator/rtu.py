"""
The devices' end of a serial line: a pseudo-terminal made here, or a TCP connection that carries RTU frames.

A paced line sends as a UART does: the reply starts when the request would have been over and the device has turned
round, and its bytes come at line speed, in small lumps as a USB adapter hands them on. An unpaced one answers at once.
"""

import asyncio
import heapq
import os
import tty
from collections.abc import Callable
from dataclasses import dataclass

from bridge.core.clock import Clock
from bridge.field.alarm import Alarm
from bridge.simulator.dialogue import BadStream, Dialogue, Reply

# bytes of one lump of a paced reply: one wake-up instead of 16, and its last byte is on time
_LUMP = 16
# lumps waiting to be sent on one line; when full, the reply is lost as on a broken line
_MOST_LUMPS = 512
# s of silence after which bytes that are no request are forgotten
_SILENCE_S = 0.03
_READ_SIZE = 1024
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Pace:
    """Speed of a line: time of one character, start and stop bits included."""

    character_ns: int

    @classmethod
    def of(cls, baud: int, framing: str) -> "Pace":
        """Return the pace of e.g. 9600 baud and 8E1 (11 bits a character)."""
        bits = 1 + int(framing[0]) + (framing[1] != "N") + int(framing[2])
        return cls(bits * _SECOND_NS // baud)


class RtuEnd:
    """Requests in, replies out, for whatever carries the bytes. `pace` None: replies leave at once."""

    def __init__(
        self,
        dialogue: Dialogue,
        pace: Pace | None,
        clock: Clock,
        make_alarm: Callable[[Callable[[], None]], Alarm],
        send: Callable[[bytes], None],
    ) -> None:
        self._dialogue, self._pace, self._clock, self._send = dialogue, pace, clock, send
        self._alarm = make_alarm(self._send_due)
        self._loop = asyncio.get_running_loop()
        self._silence: asyncio.TimerHandle | None = None
        self._buffer = b""
        self._waiting: list[tuple[int, int, bytes]] = []
        self._number = 0

    def feed(self, data: bytes) -> None:
        """Take what the master sent."""
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        self._buffer += data
        while self._buffer:
            try:
                frame = self._dialogue.rtu_request(self._buffer)
            except BadStream:
                break
            if frame is None:
                break
            self._buffer = self._buffer[len(frame) :]
            self._queue(self._dialogue.rtu_reply(frame), len(frame))
        if len(self._buffer) > _READ_SIZE:
            self._buffer = b""
        if self._buffer:
            self._silence = self._loop.call_later(_SILENCE_S, self._silent)

    def close(self) -> None:
        """Forget what waits; nothing is sent any more."""
        if self._silence is not None:
            self._silence.cancel()
        self._waiting.clear()
        self._alarm.close()

    def _silent(self) -> None:
        """The line was quiet: what is here is a request of a function pymodbus does not know, or rubbish."""
        self._silence = None
        data, self._buffer = self._buffer, b""
        self._queue(self._dialogue.unknown_function(data), len(data))

    def _queue(self, reply: Reply | None, request_bytes: int) -> None:
        if reply is None or len(self._waiting) >= _MOST_LUMPS:
            return
        pace = self._pace
        if pace is None and not reply.is_late:
            self._send(reply.frame)
            return
        start_ns = self._clock.monotonic_ns() + round(reply.after_s * _SECOND_NS)
        if pace is None:
            self._put(start_ns, reply.frame)
        else:
            start_ns += request_bytes * pace.character_ns
            for at in range(0, len(reply.frame), _LUMP):
                lump = reply.frame[at : at + _LUMP]
                self._put(start_ns + (at + len(lump)) * pace.character_ns, lump)
        self._alarm.arm(self._waiting[0][0])

    def _put(self, at_ns: int, data: bytes) -> None:
        self._number += 1
        heapq.heappush(self._waiting, (at_ns, self._number, data))

    def _send_due(self) -> None:
        now_ns = self._clock.monotonic_ns()
        while self._waiting and self._waiting[0][0] <= now_ns:
            self._send(heapq.heappop(self._waiting)[2])
        if self._waiting:
            self._alarm.arm(self._waiting[0][0])


class PtyLine:
    """A serial line of this machine; `path` is the end for the bridge. Both ends stay open until `close`."""

    def __init__(self, make_end: Callable[[Callable[[bytes], None]], RtuEnd]) -> None:
        self._device_fd, self._bridge_fd = os.openpty()
        tty.setraw(self._bridge_fd)
        os.set_blocking(self._device_fd, False)
        self.path = os.ttyname(self._bridge_fd)
        self._end = make_end(self._send)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._device_fd, self._readable)

    async def close(self) -> None:
        self._loop.remove_reader(self._device_fd)
        self._end.close()
        os.close(self._device_fd)
        os.close(self._bridge_fd)

    def _readable(self) -> None:
        try:
            data = os.read(self._device_fd, _READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        self._end.feed(data)

    def _send(self, data: bytes) -> None:
        try:
            os.write(self._device_fd, data)
        except BlockingIOError:
            # nobody reads the other end: bytes on a line without a listener are lost
            return
