"""
Error taxonomy.

* BridgeError
  x ConfigError            (file:line:col, path, message)
  x ConfigErrors           (all of them at once)
  x FieldError             (channel, unit id)
    + ConnectFailed · ConnectionLost · ReplyTimeout   (retry, back off, COMM_LOST)
    + FramingError                                    (discard, wait for silence, retry)
    + Quarantined                                     (too early to ask the same thing again)
    + LineBusy                                        (a lease has the line: ask again later)
    + RequestRefused                                  (the channel's configuration forbids it: never sent)
    + DeviceException                                 (the device answered no: DEVICE_FAULT)
  x DecodeError            (registers that are no value of the declared type)
  x ProjectionError        (a mapping that cannot be served: path, message)
  x LinkError              (core <-> worker)
    + FrameError                                      (close the link, restart the worker)
    + RawRefused                                      (a raw line request that was not carried out)
    + OperationRefused                                (a question about the bridge that has no answer)
"""

import enum
from collections.abc import Sequence


class BridgeError(Exception):
    """Base of every error the bridge raises on purpose."""


class ConfigError(BridgeError):
    """One mistake in one place of a file; `line` and `column` count from 1."""

    def __init__(self, file: str, line: int, column: int, path: str, message: str) -> None:
        super().__init__(f"{file}:{line}:{column}: {path}: {message}")
        self.file, self.line, self.column, self.path, self.message = file, line, column, path, message


class ConfigErrors(BridgeError):
    """Every mistake found in a configuration, one `file:line:column: path: message` a line, in the order of finding."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = tuple(errors)


class FieldError(BridgeError):
    """Something between the bridge and a device."""

    def __init__(self, channel: str, unit_id: int, message: str) -> None:
        super().__init__(f"{channel} unit {unit_id}: {message}")
        self.channel, self.unit_id = channel, unit_id


class ConnectFailed(FieldError):
    """The port cannot be opened, the host does not accept the connection."""


class ConnectionLost(FieldError):
    """The port or connection went away before the reply was complete."""


class ReplyTimeout(FieldError):
    """No complete reply within the turnaround time."""


class FramingError(FieldError):
    """Bytes arrived but are not the reply to our request."""


class Quarantined(FieldError):
    """A late reply to an earlier request could still be taken for the reply to this one."""

    def __init__(self, channel: str, unit_id: int, wait_s: float) -> None:
        super().__init__(channel, unit_id, f"a late reply is possible for another {wait_s:.3f} s")
        self.wait_s = wait_s


class LineBusy(FieldError):
    """Somebody has the line for himself."""


class RequestRefused(FieldError):
    """The channel's configuration forbids this request; nothing was sent."""


class DeviceException(FieldError):
    """The device answered with a Modbus exception."""

    def __init__(self, channel: str, unit_id: int, code: int) -> None:
        super().__init__(channel, unit_id, f"exception code {code:#04x}")
        self.code = code


class DecodeError(BridgeError):
    """Registers that cannot be a value of the declared type."""


class ProjectionError(BridgeError):
    """
    A mapping that cannot be served. `path`: keys and list positions inside the projection's YAML.

    The core turns it into a ConfigError with the line of that path.
    """

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        super().__init__(f"{'.'.join(str(step) for step in path)}: {message}")
        self.path, self.message = path, message


class LinkError(BridgeError):
    """The link between the core and a worker is broken or refuses."""


class FrameError(LinkError):
    """Bytes on the link that are no frame of this version. The link cannot be trusted any more."""


class RawFailure(enum.Enum):
    """Why a raw line request has no reply."""

    NONE = "none"
    NOT_GRANTED = "not granted"
    REFUSED_BY_POLICY = "refused by policy"
    BUSY = "busy"
    NO_SUCH_CHANNEL = "no such channel"
    NOT_CONNECTED = "not connected"
    TIMED_OUT = "timed out"
    BAD_REPLY = "bad reply"
    CORE_LOST = "core lost"
    IDLE = "idle"


class RawRefused(LinkError):
    """A raw line request that has no reply, and why."""

    def __init__(self, failure: RawFailure, message: str = "") -> None:
        super().__init__(f"{failure.value}: {message}" if message else failure.value)
        self.failure = failure


class OperationRefused(LinkError):
    """A question about the bridge that has no answer, and why."""
