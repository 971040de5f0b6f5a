"""Ties the services to the history: what they knew comes back at the start, what they learn is kept."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bridge.app.kept import ALARM, DEMAND, EXTREME, IDENTITY, INDEX, PARTIAL, READER, SETTING, Kept, encoded, load_kept
from bridge.core.alarm import Alarm
from bridge.core.clock import Clock
from bridge.core.event import Event, EventKind
from bridge.core.point import PointDef
from bridge.history.opening import Opened, open_history
from bridge.history.recorder import Recorder
from bridge.services.accumulator import IndexState, Verdict
from bridge.services.alarm_rules import HISTORY_DAMAGED, HISTORY_FAILURE
from bridge.services.alarms import AlarmService
from bridge.services.demand_service import DemandService
from bridge.services.events import EventLog
from bridge.services.min_max import MinMax
from bridge.services.partial import Partials
from bridge.services.settings import Settings

log = logging.getLogger("bridge.app")
FOLDER = "history"
# Seconds between two looks at what changes all the time: demand windows
_LOOK_S = 5.0


class Memory:
    """Loop thread only. Without a database everything works, and is forgotten with the process."""

    def __init__(
        self,
        clock: Clock,
        events: EventLog,
        alarms: AlarmService,
        demand: DemandService,
        settings: Settings,
        min_max: MinMax,
        partials: Partials,
        sent: Callable[[], int],
    ) -> None:
        """`sent`: number of the last event that syslog has got."""
        self._min_max, self._partials, self._sent = min_max, partials, sent
        self._clock, self._events, self._alarms, self._demand, self._settings = clock, events, alarms, demand, settings
        self.recorder: Recorder | None = None
        self._told: dict[tuple[str, str], bytes] = {}
        self._alarm_ids: set[int] = set()
        alarms.subscribe(self._alarm_changed)

    async def open(self, folder: Path, event_ring: int) -> Kept:
        """Return what an earlier process kept. Damage and failure become alarms once the alarms are defined."""
        stamp = datetime.fromtimestamp(self._clock.utc_ns() / 1e9, UTC).strftime("%Y%m%dT%H%M%SZ")
        try:
            opened = await asyncio.to_thread(open_history, folder, event_ring, stamp)
            kept = await asyncio.to_thread(load_kept, opened.database)
        except (OSError, sqlite3.Error) as exc:
            log.error("history failed folder=%s error=%s", folder, exc)
            self._alarms.say(HISTORY_FAILURE, "", True)
            return Kept()
        told = opened.database.head.event
        self._events.restore(kept.events, kept.read, told)
        self.recorder = Recorder(opened.database, self._events.safe, self._failing)
        self._events.keep_with(self._keep_event)
        if opened.damage:
            self._damaged(opened)
        kept_until = kept.events[-1].number if kept.events else 0
        if told > kept_until:
            text = f"events {kept_until + 1} to {told} were told and could not be kept"
            self._events.record(EventKind.SYSTEM, 128, text)
        return kept

    def restore(self, kept: Kept) -> None:
        """Give the services what was kept; call when they have their points."""
        self._settings.restore(kept.settings)
        self._demand.restore(kept.demands)
        self._min_max.restore(kept.extremes)
        self._partials.restore(kept.partials)
        self._alarms.restore(kept.alarms)

    def accepted(self, definition: PointDef, state: IndexState, verdict: Verdict) -> None:
        """Keep an index."""
        if self.recorder is not None:
            self.recorder.keep(INDEX, definition.id, encoded(state))

    def identity(self, id_: str, text: str) -> None:
        """Keep who a device says it is."""
        if self.recorder is not None:
            self.recorder.keep(IDENTITY, id_, encoded(text))

    def seen(self, number: int) -> None:
        """The reader of the events has seen everything up to `number`."""
        self._events.seen(number)
        if self.recorder is not None:
            self.recorder.keep(READER, "", encoded(number))

    async def run(self) -> None:
        """Write until cancelled."""
        if self.recorder is None:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self.recorder.run(), name="recorder")
            group.create_task(self._look(), name="memory")

    async def close(self) -> None:
        """Write what is left."""
        if self.recorder is not None:
            self._keep_changed()
            self._events.keep_with(None)
            await self.recorder.close()

    async def _look(self) -> None:
        while True:
            self._keep_changed()
            await asyncio.sleep(_LOOK_S)

    def _keep_changed(self) -> None:
        for demand in self._demand.kept():
            self._keep(DEMAND, demand.id, encoded(demand))
        for id_, extreme in self._min_max.kept().items():
            self._keep(EXTREME, id_, encoded(extreme))
        for id_, counted in self._partials.kept().items():
            self._keep(PARTIAL, id_, encoded(counted))
        self._keep(READER, "syslog", encoded(self._sent()))
        for id_, value in self._settings.written().items():
            self._keep(SETTING, id_, encoded(value))

    def _keep(self, kind: str, id_: str, body: bytes) -> None:
        if self.recorder is not None and self._told.get((kind, id_)) != body:
            self._told[kind, id_] = body
            self.recorder.keep(kind, id_, body)

    def _keep_event(self, event: Event) -> None:
        assert self.recorder is not None
        self.recorder.event(event.number, encoded(event))

    def _alarm_changed(self, alarm: Alarm) -> None:
        if self.recorder is None:
            return
        self.recorder.keep(ALARM, str(alarm.id), encoded(alarm))
        present = {one.id for one in self._alarms.alarms()}
        for gone in self._alarm_ids - present:
            self.recorder.keep(ALARM, str(gone), None)
        self._alarm_ids = present

    def _damaged(self, opened: Opened) -> None:
        where = f", set aside as {opened.aside.name}" if opened.aside is not None else ""
        text = f"history damaged: {opened.damage}{where}; {opened.saved} rows taken over from it"
        log.error("%s", text)
        self._events.record(EventKind.SYSTEM, 224, text)
        self._alarms.say(HISTORY_DAMAGED, "", True)
        self._alarms.say(HISTORY_DAMAGED, "", False)

    def _failing(self, why: str) -> None:
        log.log(logging.ERROR if why else logging.INFO, "history %s", f"cannot be written: {why}" if why else "written")
        self._alarms.say(HISTORY_FAILURE, "", bool(why))
