"""The channels of the site as one RawLinePort: what the gateway's process may ask of the lines."""

from collections.abc import Mapping

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


class FieldLines:
    """RawLinePort. `channels` is the live table of the bridge: a reload changes it in place."""

    def __init__(self, channels: Mapping[str, FieldChannel], clock: Clock) -> None:
        self._channels, self._clock = channels, clock

    async def exchange(self, channel: str, user: str, unit_id: int, pdu: bytes, deadline_ns: int) -> bytes:
        """See `core.ports.RawLinePort`."""
        asked = self._channels.get(channel)
        if asked is None:
            raise RawRefused(RawFailure.NO_SUCH_CHANNEL, channel)
        left_s = (deadline_ns - self._clock.monotonic_ns()) / 1e9
        if left_s <= 0:
            raise RawRefused(RawFailure.TIMED_OUT)
        try:
            return await asked.ask(Use.GATEWAY, user, unit_id, pdu, min(left_s, MAX_TURNAROUND_S), attempts=1)
        except FieldError as exc:
            failure = next((f for kind, f in _FAILURES if isinstance(exc, kind)), RawFailure.TIMED_OUT)
            raise RawRefused(failure, str(exc)) from exc
