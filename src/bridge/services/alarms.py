"""
Watches points for alarms; tells events, keeps the lists, takes acknowledgements.

Each new sample is looked at when it comes; only conditions with a delay running are looked at once a second (A-02).
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bridge.config.alarm_preset import COMMUNICATION_LOSS
from bridge.core.alarm import Alarm, Band, band_of
from bridge.core.clock import Clock
from bridge.core.command import CommandResult, Origin, Outcome
from bridge.core.event import EventKind
from bridge.core.point import NEVER_READ, Sample
from bridge.core.quality import UNUSABLE, Quality
from bridge.core.store import PointStore, Published
from bridge.services.alarm_list import AlarmList
from bridge.services.alarm_rules import AlarmRule
from bridge.services.alarm_watch import Side, Turn, Watch
from bridge.services.events import EventLog

# Seconds between two looks at running delays
_LOOK_S = 1.0
Changed = Callable[[Alarm], None]
# (alarm, user, UTC ns) -> the alarm as it then is, None for one that cannot be
Note = Callable[[int, str, int], Alarm | None]


@dataclass(slots=True)
class _Running:
    """One alarm and the watches of its points. `id`: of the alarm that is active, 0 = none."""

    rule: AlarmRule
    watches: dict[int, Watch]
    active: set[int] = field(default_factory=set)
    id: int = 0
    began_ns: int = 0
    before: float | None = None
    extreme: float | None = None


class AlarmService:
    """AlarmPort of the core process. Loop thread only."""

    def __init__(self, store: PointStore, clock: Clock, events: EventLog) -> None:
        self._store, self._clock, self._events = store, clock, events
        self._list = AlarmList()
        self._running: dict[str, _Running] = {}
        self._by_point: dict[int, list[_Running]] = {}
        self._told: dict[tuple[str, str], _Running] = {}
        self._waiting: dict[tuple[str, int], _Running] = {}
        self._off: set[str] = set()
        self._listeners: dict[int, Changed] = {}
        self._next_listener = 0
        self._cancel = store.feed(self._hear)

    def redefine(self, rules: Sequence[AlarmRule]) -> None:
        """Take the alarms of a configuration. One that means the same goes on; one that is gone ends."""
        before, self._running = self._running, {}
        self._by_point, self._told = {}, {}
        for rule in rules:
            running = before.pop(rule.key, None)
            if running is None or running.rule != rule:
                if running is not None:
                    self._end(running)
                running = _Running(rule, {index: Watch(rule.condition) for index in rule.points or (-1,)})
            self._running[rule.key] = running
            for index in rule.points:
                self._by_point.setdefault(index, []).append(running)
            if not rule.points:
                self._told[rule.name, rule.device] = running
        for running in before.values():
            self._end(running)
        self._waiting = {key: r for key, r in self._waiting.items() if self._running.get(key[0]) is r}

    def restore(self, alarms: Sequence[Alarm]) -> None:
        """Go on with what an earlier process kept: active alarms are active until their points say otherwise."""
        self._list.restore(alarms)
        by_place = {(r.rule.name, r.rule.device, i): r for r in self._running.values() for i in r.watches}
        for alarm in alarms:
            running = by_place.get((alarm.name, alarm.device, alarm.index)) if alarm.active else None
            if running is not None and not running.id:
                running.watches[alarm.index].resume(alarm.before, alarm.extreme)
                running.active, running.id, running.began_ns = {alarm.index}, alarm.id, self._clock.monotonic_ns()
                running.before, running.extreme = alarm.before, alarm.extreme
            elif alarm.active:
                self._tell(self._list.end(alarm.id, self._clock.utc_ns(), 0, alarm.before, alarm.extreme))

    def alarms(self) -> Sequence[Alarm]:
        """Return all that are kept, oldest first."""
        return self._list.all()

    def subscribe(self, deliver: Changed) -> Callable[[], None]:
        """Hear of every change of an alarm."""
        key, self._next_listener = self._next_listener, self._next_listener + 1
        self._listeners[key] = deliver

        def cancel() -> None:
            self._listeners.pop(key, None)

        return cancel

    async def acknowledge(self, alarm: int, origin: Origin, deadline_ns: int) -> CommandResult:
        """Acknowledge an alarm by its id; who was first stays."""
        return self._noted(alarm, origin, deadline_ns, self._list.acknowledge, "acknowledged")

    async def confirm(self, alarm: int, origin: Origin, deadline_ns: int) -> CommandResult:
        """Confirm an acknowledged alarm by its id; who was first stays."""
        return self._noted(alarm, origin, deadline_ns, self._list.confirm, "confirmed")

    def _noted(self, alarm: int, origin: Origin, deadline_ns: int, note: Note, what: str) -> CommandResult:
        if self._clock.monotonic_ns() >= deadline_ns:
            return CommandResult(Outcome.TIMED_OUT)
        before = self._list.get(alarm)
        user = origin.user or origin.peer or origin.protocol
        now = note(alarm, user, self._clock.utc_ns())
        if before is None or now is None:
            return CommandResult(Outcome.OUT_OF_RANGE)
        if now != before:
            #
            text = f"{now.label} {what} through {origin.protocol}"
            self._events.record(
                EventKind.ACKNOWLEDGE, now.priority, text, device=now.device, index=now.index, user=user
            )
            self._tell(now)
        return CommandResult(Outcome.DONE)

    def switch(self, name: str, on: bool, user: str) -> bool:
        """Switch all alarms of a name off for maintenance work, or on again (A-10); False for an unknown name."""
        mine = [running for running in self._running.values() if running.rule.name == name]
        if not mine:
            return False
        self._events.record(EventKind.CONFIGURATION, 64, f"alarm {name} switched {'on' if on else 'off'}", user=user)
        if on:
            self._off.discard(name)
            for running in mine:
                for index in running.rule.points:
                    self._take(running, index, self._sample(index))
            return True
        self._off.add(name)
        for running in mine:
            self._end(running)
            running.watches = {index: Watch(running.rule.condition) for index in running.watches}
        return True

    def device_lost(self, device: str, lost: bool) -> None:
        """A device stopped answering, or answers again."""
        self.say(COMMUNICATION_LOSS, device, lost)

    def say(self, name: str, device: str, holds: bool) -> None:
        """Begin or end an alarm that the bridge itself tells."""
        running = self._told.get((name, device))
        if running is not None:
            sample = Sample(holds, Quality.GOOD, self._clock.utc_ns(), 0)
            self._take(running, -1, sample)

    def close(self) -> None:
        """Stop listening."""
        self._cancel()

    async def run(self) -> None:
        """Look at running delays until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.look()

    def look(self) -> None:
        """Look at running delays once."""
        now = self._clock.monotonic_ns()
        for (key, index), running in list(self._waiting.items()):
            watch = running.watches.get(index)
            if watch is None or self._running.get(key) is not running:
                del self._waiting[key, index]
                continue
            self._turned(running, index, watch, watch.look(now), self._clock.utc_ns())

    def _hear(self, batch: Published) -> None:
        for index, sample in batch:
            for running in self._by_point.get(index, ()):
                self._take(running, index, sample)

    def _take(self, running: _Running, index: int, sample: Sample) -> None:
        if running.rule.name in self._off:
            return
        value = None if sample.quality & UNUSABLE else sample.value
        known = float(value) if isinstance(value, int | float) else None
        watch = running.watches[index]
        turn = watch.take(known, self._clock.monotonic_ns())
        # without a delay the alarm is as old as the reading that shows it
        at = self._clock.utc_ns() if watch.condition.pickup_delay_ns or watch.condition.dropout_delay_ns else 0
        self._turned(running, index, watch, turn, at or sample.source_ns)

    def _turned(self, running: _Running, index: int, watch: Watch, turn: Turn, utc_ns: int) -> None:
        key = running.rule.key, index
        if watch.waits:
            self._waiting[key] = running
        else:
            self._waiting.pop(key, None)
        if turn is Turn.BEGAN:
            running.active.add(index)
            if not running.id:
                self._begin(running, index, watch, utc_ns)
        if watch.extreme is not None and running.id:
            further = watch.condition.further
            running.extreme = further(watch.extreme, running.extreme)
        if turn is Turn.ENDED:
            running.active.discard(index)
            if not running.active:
                self._end(running, utc_ns)

    def _begin(self, running: _Running, index: int, watch: Watch, utc_ns: int) -> None:
        rule = running.rule
        event = self._events.record(
            EventKind.ALARM_START,
            rule.priority,
            f"{rule.label} began: {self._what(running, index)}",
            device=rule.device,
            index=index,
            sample=self._sample(index),
            time_ns=utc_ns,
        )
        running.id = event.number if event is not None else -1
        running.began_ns = self._clock.monotonic_ns()
        running.before, running.extreme = watch.before, watch.extreme
        if event is None or band_of(rule.priority) < Band.LOW:
            return
        limit = rule.condition.pickup
        self._tell(
            self._list.begin(
                Alarm(
                    id=event.number,
                    name=rule.name,
                    label=rule.label,
                    device=rule.device,
                    index=index,
                    priority=rule.priority,
                    start_ns=utc_ns,
                    limit=limit,
                    before=watch.before,
                    extreme=watch.extreme,
                )
            )
        )

    def _end(self, running: _Running, utc_ns: int = 0) -> None:
        if not running.id:
            return
        rule, id_ = running.rule, running.id
        index = rule.points[0] if rule.points else -1
        utc_ns = utc_ns or self._clock.utc_ns()
        duration_ns = self._clock.monotonic_ns() - running.began_ns
        furthest = f", furthest {running.extreme:g}" if running.extreme is not None and rule.points else ""
        self._events.record(
            EventKind.ALARM_END,
            rule.priority,
            f"{rule.label} ended after {duration_ns / 1e9:.1f} s{furthest}",
            device=rule.device,
            index=index,
            sample=self._sample(index),
            time_ns=utc_ns,
        )
        if self._list.get(id_) is not None:
            self._tell(self._list.end(id_, utc_ns, duration_ns, running.before, running.extreme))
        running.id, running.active = 0, set()
        running.before = running.extreme = None

    def _what(self, running: _Running, index: int) -> str:
        if index < 0:
            return running.rule.cause
        condition, definition = running.rule.condition, self._store.definition(index)
        value = self._store.get(index).value
        if condition.side is Side.IS:
            text = dict(definition.states).get(int(condition.pickup), f"{condition.pickup:g}")
            return f"{definition.id} is {text}"
        shown = f"{value:g}" if isinstance(value, int | float) else str(value)
        return f"{definition.id} {shown} {definition.unit} {condition.side.value} {condition.pickup:g}"

    def _sample(self, index: int) -> Sample:
        try:
            return self._store.get(index)
        except KeyError:
            # the whole device, or a point that a reload took away
            return NEVER_READ

    def _tell(self, alarm: Alarm) -> None:
        for deliver in list(self._listeners.values()):
            deliver(alarm)
