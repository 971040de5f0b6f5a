"""What the running bridge answers on its control socket about alarms and events."""

from collections.abc import Mapping
from typing import Any

from bridge.app.bridge import Bridge
from bridge.app.history_csv import iso
from bridge.control.protocol import ControlError
from bridge.control.server import Handler
from bridge.core.alarm import Alarm, band_of
from bridge.core.command import Origin, Outcome
from bridge.core.event import Event

# ns; an acknowledgement is carried out at once or not at all
_ACKNOWLEDGE_NS = 1_000_000_000


def own_handlers(bridge: Bridge) -> Mapping[str, Handler]:
    """Return request -> handler."""
    names = _Names(bridge)

    async def alarms(arguments: dict[str, Any]) -> Any:
        wanted = [a for a in bridge.own.alarms.alarms() if a.active or not arguments.get("active")]
        return [_alarm_row(alarm, names) for alarm in wanted]

    async def events(arguments: dict[str, Any]) -> Any:
        most = arguments.get("last")
        found = bridge.own.events.events(int(arguments.get("after", 0)), None if most is None else int(most))
        if arguments.get("seen") and found:
            bridge.own.memory.seen(found[-1].number)
        return [_event_row(event, names) for event in found]

    async def acknowledge(arguments: dict[str, Any]) -> Any:
        deadline_ns = bridge.clock.monotonic_ns() + _ACKNOWLEDGE_NS
        origin = Origin("cli", "local", str(arguments.get("user", "")))
        result = await bridge.own.alarms.acknowledge(int(arguments.get("alarm", 0)), origin, deadline_ns)
        if result.outcome is not Outcome.DONE:
            raise ControlError(f"expected the number of an alarm, found {arguments.get('alarm')}")
        return {"outcome": result.outcome.value}

    async def switch(arguments: dict[str, Any]) -> Any:
        name = str(arguments.get("alarm", ""))
        if not bridge.own.alarms.switch(name, bool(arguments.get("on")), str(arguments.get("user", ""))):
            raise ControlError(f"expected the name of an alarm, found {name}")
        return {}

    return {"alarms": alarms, "events": events, "acknowledge": acknowledge, "switch_alarm": switch}


class _Names:
    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def of(self, index: int) -> str:
        """Return the id of a point, "" for none and for one that is gone."""
        try:
            return self._bridge.store.definition(index).id
        except KeyError:
            return ""


def _alarm_row(alarm: Alarm, names: _Names) -> dict[str, Any]:
    return {
        "alarm": alarm.id,
        "state": "active" if alarm.active else "historic",
        "priority": alarm.priority,
        "band": band_of(alarm.priority).name.lower(),
        "label": alarm.label,
        "device": alarm.device,
        "point": names.of(alarm.index),
        "start": iso(alarm.start_ns),
        "end": iso(alarm.end_ns),
        "duration_s": round(alarm.duration_ns / 1e9, 3) if not alarm.active else None,
        "extreme": alarm.extreme if alarm.index >= 0 else None,
        "acknowledged": iso(alarm.acknowledged_ns),
        "by": alarm.acknowledged_by,
    }


def _event_row(event: Event, names: _Names) -> dict[str, Any]:
    return {
        "event": event.number,
        "time": iso(event.time_ns),
        "priority": event.priority,
        "kind": event.kind.value,
        "device": event.device,
        "point": names.of(event.index),
        "text": event.text,
        "user": event.user,
    }
