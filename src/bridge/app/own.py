"""What the bridge knows by itself: the services of the core process, put together and reloaded together."""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from bridge.app.memory import FOLDER, Memory
from bridge.app.past import Past
from bridge.app.records import Records
from bridge.app.syslog_side import SyslogSide
from bridge.config.model import SiteConfig
from bridge.core.clock import Clock
from bridge.core.event import EventKind
from bridge.core.point import PointDef, Role
from bridge.core.quality import Quality
from bridge.core.quantity import Quantity
from bridge.core.store import PointStore
from bridge.field.modbus.notice import Notice, NoticeKind
from bridge.history.opening import FILE
from bridge.services.accumulator import IndexState, Verdict
from bridge.services.alarm_rules import SYSTEM
from bridge.services.alarm_rules import rules_of as alarm_rules_of
from bridge.services.alarms import AlarmService
from bridge.services.chrony import Chrony
from bridge.services.communication import Communication, status_points
from bridge.services.demand import Demand
from bridge.services.demand_points import DemandPoints, demands_of, settings_of
from bridge.services.demand_service import DemandService
from bridge.services.derived import Derived, rules_of
from bridge.services.device_clocks import DeviceClocks
from bridge.services.events import EventLog, EventSettings
from bridge.services.identity import IdentityWatch
from bridge.services.index_gate import IndexGate
from bridge.services.kernel_clock import kernel_clock
from bridge.services.min_max import MinMax, extremes_of
from bridge.services.own_commands import OwnCommands, own_commands
from bridge.services.partial import Partials, partials_of
from bridge.services.settings import Settings, settings_in
from bridge.services.time_quality import TimeQuality, TimeSettings

log = logging.getLogger("bridge.app")


# Seconds between two looks at whether readings carry a mark of the clock
_MARK_S = 1.0
# Kind and priority of what the field side tells; that a device is lost is an alarm besides
_NOTICES: Mapping[NoticeKind, tuple[EventKind, int]] = {
    NoticeKind.LOST: (EventKind.COMMUNICATION, 64),
    NoticeKind.FOUND: (EventKind.COMMUNICATION, 32),
    NoticeKind.SCALE_DECIDED: (EventKind.CONFIGURATION, 32),
    NoticeKind.SCALE_UNDECIDED: (EventKind.CONFIGURATION, 128),
    NoticeKind.REGISTER_REFUSED: (EventKind.CONFIGURATION, 64),
    NoticeKind.SERIAL_NUMBER: (EventKind.SYSTEM, 32),
    NoticeKind.LINE_NOISY: (EventKind.COMMUNICATION, 128),
    NoticeKind.LINE_CLEAN: (EventKind.COMMUNICATION, 32),
}


class OwnServices:
    """Loop thread only. `apply` after every change of the store's definitions."""

    def __init__(self, store: PointStore, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._marks = False
        self.events = EventLog(clock)
        self.alarms = AlarmService(store, clock, self.events)
        self.alarms.redefine(SYSTEM)
        # what pollers publish into
        self.gate = IndexGate(store, clock, self.events, self._accepted)
        self.communication = Communication(store, clock)
        self.derived = Derived(store)
        self.demand = DemandService(store, clock, self._window_stepped)
        self.settings = Settings(store, clock, self._setting_changed)
        self.min_max = MinMax(store)
        self.partials = Partials(store)
        self.device_clocks = DeviceClocks(store, clock, self.events)
        self.commands = OwnCommands(store, clock, self.events, self.settings, self.demand, self.min_max, self.partials)

        self.syslog = SyslogSide(self.events)
        self.chrony = Chrony(clock)
        self.time = TimeQuality(clock, self.events, lambda: self.chrony.state() or kernel_clock())
        self.records = Records(store, clock, self.gate, lambda: self.time.synchronised)
        self.memory = Memory(
            clock,
            self.events,
            self.alarms,
            self.demand,
            self.settings,
            self.min_max,
            self.partials,
            self.syslog.note_sent,
        )

        self.past = Past(store, self.events)
        self.identity = IdentityWatch(store, self.events, self.alarms, self.memory.identity)

    async def start(self, config: SiteConfig) -> None:
        """Take up what an earlier process kept, and the first configuration; before anything is polled."""
        kept = await self.memory.open(config.state_dir / FOLDER, config.services.events.ring)
        self.past.open(config.state_dir / FOLDER / FILE)
        self.gate.restore(kept.indexes)
        self.identity.restore(kept.identities)
        self.apply(config)
        self.memory.restore(kept)
        self.identity.compare()
        self.syslog.sent = kept.sent
        self.records.start(self.memory.recorder, kept.indexes, kept.profile_ns)
        held = self.gate.held()
        if held:
            self._store.publish(held)
        self.events.record(EventKind.SYSTEM, 64, f"bridge started, {len(config.points)} points")

    async def stop(self) -> None:
        """Write what is left."""
        self.events.record(EventKind.SYSTEM, 64, "bridge stopped")
        self.past.close()
        await self.memory.close()

    def reloaded(self, fault: str) -> None:
        """A reload was done, or refused because of `fault`."""
        if not fault:
            self.identity.compare()
        text = f"configuration refused: {fault}" if fault else "configuration reloaded"
        self.events.record(EventKind.CONFIGURATION, 128 if fault else 64, text)

    def apply(self, config: SiteConfig) -> None:
        """Take over a configuration; what means the same goes on."""
        services = config.services
        self.events.configure(EventSettings(services.events.ring, services.events.threshold))
        self.gate.redefine(config.field, config.services.index.growth)
        self.communication.redefine(status_points(config.field))
        self.derived.redefine(rules_of(config))
        demand = services.demand
        self.demand.redefine(
            [(points, settings_of(demand, d.definition.id)) for d in config.field for points in demands_of(d)]
        )
        self.settings.redefine(settings_in(config))
        self.min_max.redefine(extremes_of(config.field))
        self.partials.redefine(partials_of(config.field))
        self.device_clocks.redefine(config.points)
        self.device_clocks.error_s = services.time.device_error_s
        self.commands.redefine(own_commands(config))
        self.records.apply(config)
        self.time.settings = TimeSettings(services.time.step_s, services.time.error_s)
        self.chrony.port = services.time.chrony_port
        self._marks = services.time.mark_samples
        self.syslog.apply(config)
        alarms = alarm_rules_of(services.alarms, config.devices, config.points)
        self.alarms.redefine(alarms.rules)
        self.identity.redefine(config.field)
        for useless in alarms.useless:
            log.warning("services alarm=%s needs a nominal value of its device", useless)
        for point_id in unknown_points(config):
            log.warning("services point=%s has no register, and nothing to compute it from", point_id)

    async def run(self) -> None:
        """Do what must be done in time, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.derived.run(), name="derived")
            group.create_task(self.demand.run(), name="demand")
            group.create_task(self.alarms.run(), name="alarms")
            group.create_task(self.memory.run(), name="memory")
            group.create_task(self.records.run(), name="records")
            group.create_task(self.syslog.run(), name="syslog")
            group.create_task(self.chrony.run(), name="chrony")
            group.create_task(self.time.run(), name="time")
            group.create_task(self._mark(), name="mark")

    def noticed(self, notice: Notice) -> None:
        """Make events of what the field side has to tell."""
        if notice.kind is NoticeKind.SERIAL_NUMBER:
            self.gate.serial(notice.device, notice.text)
        if notice.kind in (NoticeKind.LOST, NoticeKind.FOUND):
            self.alarms.device_lost(notice.device, notice.kind is NoticeKind.LOST)
        kind, priority = _NOTICES[notice.kind]
        what = f"{notice.kind.value} {notice.text}"
        if notice.kind is not NoticeKind.SERIAL_NUMBER:
            what = f"{notice.kind.value}: {notice.text}"
        text = f"{notice.device}: {what}" if notice.device else what
        self.events.record(kind, priority, text, device=notice.device, index=notice.index)

    async def _mark(self) -> None:
        while True:
            unsynced = self._marks and not self.time.synchronised
            self.gate.mark = Quality.CLOCK_UNSYNCED if unsynced else Quality.GOOD
            await asyncio.sleep(_MARK_S)

    def _accepted(self, definition: PointDef, state: IndexState, verdict: Verdict) -> None:
        self.memory.accepted(definition, state, verdict)
        self.records.accepted(definition, state)
        self.partials.accepted(definition, state)

    def _window_stepped(self, points: DemandPoints, demand: Demand) -> None:
        text = f"{points.id}: the clock was stepped inside the demand window, which counts for no peak"
        self.events.record(EventKind.TIME, 64, text, device=points.device)

    def _setting_changed(self, definition: PointDef, value: float) -> None:
        if definition.meaning.quantity is Quantity.DEMAND_INTERVAL:
            self.demand.set_interval(definition.device, int(value))


def unknown_points(config: SiteConfig) -> Sequence[str]:
    """Return the points without a register that nothing computes and nobody keeps."""
    known = {rule.output for rule in rules_of(config)}
    known |= set(status_points(config.field).values())
    known |= {setting.definition.index for setting in settings_in(config)}
    known |= {index for one in extremes_of(config.field) for index in (one.value, one.time)}
    known |= {partial.output.index for partial in partials_of(config.field)}
    for device in config.field:
        for points in demands_of(device):
            known |= {index for index, _ in points.values.values()}
    own = [point for device in config.field for point in device.points if point.read is None]
    return [p.definition.id for p in own if p.definition.index not in known and p.definition.role is not Role.COMMAND]
