"""What a worker is told of a field error: the reason in the link's terms."""

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

_FAILURES: tuple[tuple[type[FieldError], RawFailure], ...] = (
    (ConnectFailed, RawFailure.NOT_CONNECTED),
    (ConnectionLost, RawFailure.NOT_CONNECTED),
    (ReplyTimeout, RawFailure.TIMED_OUT),
    (FramingError, RawFailure.BAD_REPLY),
    (LineBusy, RawFailure.BUSY),
    (RequestRefused, RawFailure.REFUSED_BY_POLICY),
)


def refused(exc: FieldError) -> RawRefused:
    """Return the RawRefused for a field error."""
    failure = next((f for kind, f in _FAILURES if isinstance(exc, kind)), RawFailure.TIMED_OUT)
    return RawRefused(failure, str(exc))
