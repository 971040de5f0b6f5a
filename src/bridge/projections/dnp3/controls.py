"""
SELECT, OPERATE and DIRECT OPERATE: requests to commands, statuses to the echo.

An OPERATE runs only right after the SELECT it repeats: same objects, sequence + 1, within the select
time-out, same session. A SELECT is judged by the core like the OPERATE, and so answered truthfully.
Source: IEEE 1815-2012, 4.4.4.3.

    control code, count, on time (4), off time (4), status     g12v1
    value (2, 4 or 8), status                                  g41v1 to g41v4
"""

import enum
import struct
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from bridge.core.command import Mode
from bridge.projections.dnp3.application import SEQUENCE_MASK, Iin, ObjectHeader, Qualifier, RequestError
from bridge.projections.dnp3.objects import PointType

_CROB = struct.Struct("<BBIIB")
_ANALOG = {1: struct.Struct("<iB"), 2: struct.Struct("<hB"), 3: struct.Struct("<fB"), 4: struct.Struct("<dB")}
_INDEXED = (Qualifier.INDEX_8, Qualifier.INDEX_16)


class CommandStatus(enum.IntEnum):
    """Control status octet. IEEE 1815-2012."""

    SUCCESS = 0
    TIMEOUT = 1
    NO_SELECT = 2
    FORMAT_ERROR = 3
    NOT_SUPPORTED = 4
    ALREADY_ACTIVE = 5
    HARDWARE_ERROR = 6
    LOCAL = 7
    TOO_MANY_OPS = 8
    NOT_AUTHORIZED = 9
    OUT_OF_RANGE = 12
    DOWNSTREAM_FAIL = 18


class Operation(enum.IntEnum):
    """Low nibble of the CROB control code."""

    NUL = 0
    PULSE_ON = 1
    PULSE_OFF = 2
    LATCH_ON = 3
    LATCH_OFF = 4


class Control(msgspec.Struct, frozen=True, gc=False):
    """One control. CROB: `operation`, `trip_close` (0 none, 1 close, 2 trip); analog: `value`."""

    type: PointType
    index: int
    value: float = 0.0
    operation: Operation = Operation.NUL
    trip_close: int = 0
    count: int = 0
    on_ms: int = 0
    off_ms: int = 0


class ControlHandler(Protocol):
    def control(self, control: Control, mode: Mode, ticket: int) -> CommandStatus | None:
        """
        Start `control`, or with SELECT ask whether it would be accepted, which changes nothing. Never blocks.

        None: `OutstationSession.command_done(ticket, status)` will tell.
        """
        ...


class ControlObject(NamedTuple):
    """One object of a control request; `control` is None for one that cannot be read."""

    control: Control | None
    status: CommandStatus


class Selection(NamedTuple):
    sequence: int
    body: bytes
    until_s: float


def parse_controls(headers: Sequence[ObjectHeader], limit: int) -> list[ControlObject]:
    """Raises: RequestError for objects that are no controls; those beyond `limit` become TOO_MANY_OPS."""
    controls: list[ControlObject] = []
    for header in headers:
        if header.group not in (12, 41):
            raise RequestError(Iin.OBJECT_UNKNOWN, f"g{header.group} in a control request")
        if header.qualifier not in _INDEXED or not header.items:
            raise RequestError(Iin.PARAM_ERROR, f"qualifier {header.qualifier:#04x} in a control request")
        for index, data in header.items:
            item = _crob(index, data) if header.group == 12 else _analog(header.variation, index, data)
            over = len(controls) >= limit
            controls.append(ControlObject(item.control, CommandStatus.TOO_MANY_OPS) if over else item)
    if not controls:
        raise RequestError(Iin.PARAM_ERROR, "control request without objects")
    return controls


def _crob(index: int, data: bytes) -> ControlObject:
    code, count, on_ms, off_ms, _ = _CROB.unpack(data)
    try:
        operation = Operation(code & 0x0F)
    except ValueError:
        return ControlObject(None, CommandStatus.NOT_SUPPORTED)
    control = Control(PointType.BINARY_OUTPUT, index, 0.0, operation, code >> 6, count, on_ms, off_ms)
    return ControlObject(control, CommandStatus.SUCCESS)


def _analog(variation: int, index: int, data: bytes) -> ControlObject:
    value, _ = _ANALOG[variation].unpack(data)
    return ControlObject(Control(PointType.ANALOG_OUTPUT, index, value), CommandStatus.SUCCESS)


def echo(headers: Sequence[ObjectHeader], statuses: Sequence[CommandStatus]) -> bytes:
    """Return the objects of the request with their status octets replaced."""
    parts: list[bytes] = []
    left = iter(statuses)
    for header in headers:
        wide = 1 if header.qualifier is Qualifier.INDEX_8 else 2
        parts.append(bytes((header.group, header.variation, header.qualifier)))
        parts.append(len(header.items).to_bytes(wide, "little"))
        for index, data in header.items:
            parts.append(index.to_bytes(wide, "little") + data[:-1] + bytes((next(left),)))
    return b"".join(parts)


def check_selection(selection: Selection | None, sequence: int, body: bytes, now_s: float) -> CommandStatus:
    """Return SUCCESS if an OPERATE with this sequence and body follows its SELECT."""
    if selection is None or body != selection.body:
        return CommandStatus.NO_SELECT
    if sequence != (selection.sequence + 1) & SEQUENCE_MASK:
        return CommandStatus.NO_SELECT
    return CommandStatus.TIMEOUT if now_s > selection.until_s else CommandStatus.SUCCESS
