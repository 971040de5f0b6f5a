"""Raw bytes between a worker and a serial line, under an exclusive lease with an idle limit (EtherGate)."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping

from bridge.app.failures import refused
from bridge.core.errors import FieldError, RawFailure, RawRefused
from bridge.field.channel import FieldChannel

log = logging.getLogger("bridge.app")
# s; nobody keeps a line that he does not use
MAX_IDLE_S = 3600.0
# bytes given to a line at once: 0.27 s at 9600 baud
_PIECE = 256


@contextlib.asynccontextmanager
async def open_tunnel(
    channels: Mapping[str, FieldChannel], channel: str, user: str, received: Callable[[bytes], None], idle_s: float
) -> AsyncIterator["LineTunnel"]:
    """See `core.ports.Tunnels`."""
    asked = channels.get(channel)
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
        raise refused(exc) from exc
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
                raise refused(exc) from exc
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
