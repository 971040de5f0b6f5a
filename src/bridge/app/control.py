"""What the running bridge answers on its control socket."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from bridge.app.bridge import Bridge
from bridge.app.confirm import ConfirmationWanted, Confirmed
from bridge.app.control_own import own_handlers
from bridge.app.views import channel_row, device_row, point_row, server_row
from bridge.config.fingerprints import fingerprints
from bridge.config.site import TcpChannel
from bridge.control.protocol import CALLER, ControlError
from bridge.control.server import Handler, Stream
from bridge.core.command import Command, Origin
from bridge.core.errors import ConfigErrors, FieldError
from bridge.core.point import Kind, PointDef, Value
from bridge.field.channel import FieldChannel
from bridge.field.modbus.scan import Behind, scan
from bridge.field.observe import Frame, Verdict

# s; a write from the command line may take this long
_WRITE_S = 10.0
# what the command line does by itself and has recorded
_LOCAL_KINDS = ("user", "tls")
# frames kept for a trace that is not read fast enough
_TRACE_KEPT = 1000
_LAST_UNIT_ID = 247


def control_handlers(bridge: Bridge) -> Mapping[str, Handler]:
    """Return request -> handler."""

    def bound(answer: Callable[[Bridge, dict[str, Any]], Awaitable[Any]]) -> Handler:
        return lambda arguments: answer(bridge, arguments)

    return {
        "status": bound(_status),
        "points": bound(_points),
        "read": bound(_read),
        "registers": bound(_registers),
        "write": bound(_write),
        "reload": bound(_reload),
        **own_handlers(bridge),
        "done_locally": bound(_done_locally),
    }


def control_streams(bridge: Bridge) -> Mapping[str, Stream]:
    """Return request -> source of items."""
    return {
        "trace": lambda arguments: _trace(bridge, arguments),
        "scan": lambda arguments: _scan(bridge, arguments),
    }


async def _status(bridge: Bridge, _: dict[str, Any]) -> Any:
    listeners = {face.name: face.listener for face in bridge.faces}
    field = bridge.field
    channels = [] if field is None else [channel_row(*facts) for facts in field.channel_facts()]
    devices = {} if field is None else field.snapshots()
    return {
        "ready": bridge.ready,
        "polling": bridge.polling(),
        "pid": bridge.pid,
        "servers": [server_row(status, listeners.get(status.name)) for status in bridge.statuses()],
        "channels": channels,
        "devices": [device_row(name, snapshot) for name, snapshot in devices.items()],
    }


async def _points(bridge: Bridge, arguments: dict[str, Any]) -> Any:
    wanted, now_ns, store = arguments.get("device", ""), bridge.clock.utc_ns(), bridge.store
    return [point_row(d, store.get(d.index), now_ns) for d in store.defs() if wanted in ("", d.device)]


async def _read(bridge: Bridge, arguments: dict[str, Any]) -> Any:
    definition = _definition(bridge, arguments)
    return point_row(definition, bridge.store.get(definition.index), bridge.clock.utc_ns())


async def _registers(bridge: Bridge, arguments: dict[str, Any]) -> Any:
    """The newest raw blocks of a device, as they came."""
    snapshots = {} if bridge.field is None else bridge.field.snapshots()
    snapshot = snapshots.get(str(arguments.get("device", "")))
    if snapshot is None:
        raise ControlError(f"expected a device ({', '.join(snapshots)}), found {arguments.get('device')}")
    return [
        {
            "function": block.function,
            "address": block.address,
            "data": base64.b64encode(block.data).decode(),
            "utc_ns": block.utc_ns,
            "count": block.count,
        }
        for block in snapshot.raw
    ]


async def _write(bridge: Bridge, arguments: dict[str, Any]) -> Any:
    definition = _definition(bridge, arguments)
    deadline_ns = bridge.clock.monotonic_ns() + round(_WRITE_S * 1e9)
    origin = Origin("cli", "local", str(arguments[CALLER]))
    value = value_of(definition, str(arguments.get("value", "")))
    result = await bridge.commands.router.submit(Command(definition.index, value, origin, deadline_ns))
    return {"outcome": result.outcome.value, "device_code": result.device_code}


async def _reload(bridge: Bridge, arguments: dict[str, Any]) -> Any:
    try:
        confirmed = Confirmed.YES if arguments.get("confirmed") else Confirmed.NO
        faces = await bridge.reload(confirmed, Origin("cli", "local", str(arguments[CALLER])))
    except ConfigErrors as exc:
        return {"faults": [str(error) for error in exc.errors], "confirm": [], "summary": ""}
    except ConfirmationWanted as exc:
        return {"faults": [], "confirm": list(exc.changes), "summary": ""}
    return {"faults": [], "confirm": [], "summary": f"{len(bridge.config.points)} points, {len(faces)} servers"}


async def _done_locally(bridge: Bridge, arguments: dict[str, Any]) -> Any:
    kind, action, target = (str(arguments.get(name, "")) for name in ("kind", "action", "target"))
    if kind not in _LOCAL_KINDS:
        raise ControlError(f"expected one of {', '.join(_LOCAL_KINDS)}, found {kind}")
    await bridge.commands.done_locally(kind, action, target, str(arguments[CALLER]))
    return {}


async def _trace(bridge: Bridge, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    channel = _channel(bridge, arguments)
    frames: asyncio.Queue[Frame] = asyncio.Queue(_TRACE_KEPT)
    shift_ns = bridge.clock.utc_ns() - bridge.clock.monotonic_ns()

    def take(frame: Frame) -> None:
        if frames.full():
            frames.get_nowait()
        frames.put_nowait(frame)

    channel.observe(take)
    try:
        while True:
            yield _frame_row(await frames.get(), shift_ns)
    finally:
        channel.ignore(take)


async def _scan(bridge: Bridge, arguments: dict[str, Any]) -> AsyncIterator[Any]:
    """Ask the unit ids of a channel who they are, between the polls."""
    channel = _channel(bridge, arguments)
    units = [int(unit) for unit in arguments.get("units", ())]
    if not units or not all(1 <= unit <= _LAST_UNIT_ID for unit in units):
        raise ControlError(f"expected unit ids from 1 to {_LAST_UNIT_ID}, found {units}")
    timeout_s = min(max(float(arguments.get("timeout_s", 0.5)), 0.05), 15.0)
    known = await asyncio.to_thread(fingerprints, [bridge.config.directory / f for f in bridge.config.file.site.meters])
    used = {(d.definition.channel, d.definition.unit_id): d.definition.id for d in bridge.config.field}
    try:
        behind = Behind.NETWORK if isinstance(bridge.config.channels[channel.name], TcpChannel) else Behind.SERIAL
        async for found in scan(channel, units, known, timeout_s, behind):
            if isinstance(found, int):
                yield {"unit": found, "answers": False}
            else:
                device = used.get((channel.name, found.unit_id), "")
                yield {"unit": found.unit_id, "answers": True, "meter": found.meter, "device": device, **found.identity}
    except FieldError as exc:
        raise ControlError(str(exc)) from exc


def _channel(bridge: Bridge, arguments: dict[str, Any]) -> FieldChannel:
    name = str(arguments.get("channel", ""))
    channel = bridge.field.channels.get(name) if bridge.field is not None else None
    if channel is None:
        raise ControlError(f"expected a channel ({', '.join(bridge.config.channels)}), found {name}")
    return channel


def _frame_row(frame: Frame, shift_ns: int) -> dict[str, Any]:
    at = datetime.fromtimestamp((frame.at_ns + shift_ns) / 1e9, UTC)
    return {
        "time": at.strftime("%H:%M:%S.%f"),
        "direction": "out" if frame.verdict is Verdict.SENT else "in",
        "verdict": frame.verdict.value,
        "bytes": frame.data.hex(" "),
    }


def _definition(bridge: Bridge, arguments: dict[str, Any]) -> PointDef:
    name = arguments.get("point")
    for definition in bridge.store.defs():
        if definition.id == name:
            return definition
    raise ControlError(f"expected a point of this site, found {name}")


def value_of(definition: PointDef, text: str) -> Value:
    """Read a value as a person types it. Raises: ControlError."""
    codes = {label.lower(): code for code, label in definition.states}
    try:
        if definition.kind is Kind.TEXT:
            return text
        if definition.kind in (Kind.BINARY, Kind.MULTISTATE):
            code = codes.get(text.lower())
            number = int(text) if code is None else code
            return bool(number) if definition.kind is Kind.BINARY else number
        return float(text)
    except ValueError as exc:
        expected = "one of " + ", ".join(codes) if codes else "a number"
        raise ControlError(f"{definition.id}: expected {expected}, found {text}") from exc
