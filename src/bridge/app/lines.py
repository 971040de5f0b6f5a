"""The channels of the site as one RawLinePort: what the gateway's process may ask of the lines."""

from collections.abc import Callable, Mapping

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
            failure = next((f for kind, f in _FAILURES if isinstance(exc, kind)), RawFailure.TIMED_OUT)
            raise RawRefused(failure, str(exc)) from exc
