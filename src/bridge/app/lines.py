"""The channels of the site as one RawLinePort: what the gateway's process may ask of the lines."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping

from bridge.core.clock import Clock
from bridge.core.errors import (
    ConnectFailed,
    ConnectionLost,
    FieldError,
    FramingError,
    LineBusy,
    RawFailure,
    RawRefused,
    ReplyTimeout,
    RequestRefused,
)
from bridge.field.channel import FieldChannel
from bridge.field.line import Use
from bridge.modbus.request import only_reads

# s; a client of the gateway never waits longer than this for one device
MAX_TURNAROUND_S = 15.0
_FAILURES: tuple[tuple[type[FieldError], RawFailure], ...] = (
    (ConnectFailed, RawFailure.NOT_CONNECTED),
    (ConnectionLost, RawFailure.NOT_CONNECTED),
    (ReplyTimeout, RawFailure.TIMED_OUT),
    (FramingError, RawFailure.BAD_REPLY),
    (LineBusy, RawFailure.BUSY),
    (RequestRefused, RawFailure.REFUSED_BY_POLICY),
)


log = logging.getLogger("bridge.app.lines")
# s; nobody keeps a line that he does not use
MAX_IDLE_S = 3600.0
# bytes given to a line at once: 0.27 s at 9600 baud
_PIECE = 256
# (channel, unit id, request PDU) -> why it may not be sent, "" to let it pass
RawPolicy = Callable[[str, int, bytes], str]
# (channel, unit id) -> s the device may take
TimeoutOf = Callable[[str, int], float]


def read_only(_channel: str, _unit_id: int, pdu: bytes) -> str:
    """The policy of a bridge without one: what changes a device is refused, whatever it changes."""
    return "" if only_reads(pdu) else f"function {pdu[0]} may change the device"


class FieldLines:
    """RawLinePort. `channels` is the live table of the bridge: a reload changes it in place."""

    def __init__(
        self,
        channels: Mapping[str, FieldChannel],
        clock: Clock,
        timeout_of: TimeoutOf = lambda channel, unit_id: MAX_TURNAROUND_S,
        policy: RawPolicy = read_only,
    ) -> None:
        self._channels, self._clock, self._timeout_of, self._policy = channels, clock, timeout_of, policy

    async def exchange(
        self, channel: str, user: str, unit_id: int, pdu: bytes, deadline_ns: int, timeout_s: float = 0.0
    ) -> bytes:
        """See `core.ports.RawLinePort`."""
        asked = self._channels.get(channel)
        if asked is None:
            raise RawRefused(RawFailure.NO_SUCH_CHANNEL, channel)
        left_s = (deadline_ns - self._clock.monotonic_ns()) / 1e9
        if left_s <= 0:
            raise RawRefused(RawFailure.TIMED_OUT)
        if not pdu:
            raise RawRefused(RawFailure.REFUSED_BY_POLICY, "expected a function")
        if refusal := self._policy(channel, unit_id, pdu):
            raise RawRefused(RawFailure.REFUSED_BY_POLICY, refusal)
        wait_s = min(timeout_s or self._timeout_of(channel, unit_id), left_s, MAX_TURNAROUND_S)
        try:
            return await asked.ask(Use.GATEWAY, user, unit_id, pdu, wait_s, attempts=1)
        except FieldError as exc:
            raise _refused(exc) from exc

    @contextlib.asynccontextmanager
    async def tunnel(
        self, channel: str, user: str, received: Callable[[bytes], None], idle_s: float
    ) -> AsyncIterator["LineTunnel"]:
        """See `core.ports.Tunnels`."""
        asked = self._channels.get(channel)
        if asked is None:
            raise RawRefused(RawFailure.NO_SUCH_CHANNEL, channel)
        gone = asyncio.Event()

        def heard(data: bytes) -> None:
            if data:
                received(data)
            else:
                gone.set()

        try:
            async with asked.raw(heard) as write:
                log.info("tunnel begins channel=%s user=%s", channel, user)
                yield LineTunnel(write, gone, min(idle_s, MAX_IDLE_S))
        except FieldError as exc:
            raise _refused(exc) from exc
        finally:
            log.info("tunnel ends channel=%s user=%s", channel, user)


class LineTunnel:
    """Tunnel of `core.ports`, on a line of this process."""

    def __init__(self, write: Callable[[bytes], float], gone: asyncio.Event, idle_s: float) -> None:
        self._write, self._gone, self._idle_s = write, gone, idle_s
        self._loop = asyncio.get_running_loop()
        self._sent_at = self._loop.time()

    async def send(self, data: bytes) -> None:
        """As fast as the line carries it: its buffer never holds more than one piece."""
        for at in range(0, len(data), _PIECE):
            if self._gone.is_set():
                raise RawRefused(RawFailure.NOT_CONNECTED, "the line is gone")
            try:
                line_s = self._write(data[at : at + _PIECE])
            except FieldError as exc:
                raise _refused(exc) from exc
            await asyncio.sleep(line_s)
            self._sent_at = self._loop.time()

    async def ended(self) -> RawFailure:
        while (left_s := self._sent_at + self._idle_s - self._loop.time()) > 0:
            try:
                async with asyncio.timeout(left_s):
                    await self._gone.wait()
            except TimeoutError:
                continue
            return RawFailure.NOT_CONNECTED
        return RawFailure.IDLE


def _refused(exc: FieldError) -> RawRefused:
    failure = next((f for kind, f in _FAILURES if isinstance(exc, kind)), RawFailure.TIMED_OUT)
    return RawRefused(failure, str(exc))
