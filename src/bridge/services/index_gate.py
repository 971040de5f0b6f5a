"""
Stands between the pollers and the store: what a meter says of an energy is published only as its index accepts it.

The rule one must not break: every sample of an index carries an accepted count and the time that count was read, also
when the poller has nothing but the reason why there is no reading.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from bridge.config.model import FieldDevice
from bridge.core.accumulator import decimal_text
from bridge.core.clock import Clock
from bridge.core.event import EventKind
from bridge.core.point import Batch, DeviceDef, PointDef, Sample, counts_up
from bridge.core.ports import PointWriter
from bridge.core.quality import UNUSABLE, Quality
from bridge.core.quantity import Quantity
from bridge.core.store import Published
from bridge.services.accumulator import ACCEPTING, Index, IndexLimits, IndexState, Verdict
from bridge.services.arithmetic import exponent_of
from bridge.services.events import EventLog

# Times the nominal power that nothing carries
GROWTH = 10.0
_QUALITIES: Mapping[Verdict, Quality] = {
    Verdict.ACCEPTED: Quality.GOOD,
    Verdict.ROLLED: Quality.ROLLOVER,
    Verdict.REPLACED: Quality.DISCONTINUITY,
    Verdict.RESET: Quality.DISCONTINUITY,
    Verdict.HELD: Quality.QUESTIONABLE,
    Verdict.REFUSED: Quality.QUESTIONABLE | Quality.OUT_OF_RANGE,
}
# Priority of the event about a verdict; M-47: a discontinuity is never silent
_PRIORITIES: Mapping[Verdict, int] = {
    Verdict.ROLLED: 32,
    Verdict.REPLACED: 128,
    Verdict.RESET: 192,
    Verdict.HELD: 128,
    Verdict.REFUSED: 128,
}
Accepted = Callable[[PointDef, IndexState, Verdict], None]


@dataclass(slots=True)
class _Gated:
    """One index of a device and what was last said about it."""

    definition: PointDef
    index: Index
    device: "_Device"
    accepted_ns: int = 0
    last: Verdict = Verdict.ACCEPTED


@dataclass(slots=True)
class _Device:
    definition: DeviceDef
    serial: str = ""
    tested: bool = False
    indexes: list[_Gated] = field(default_factory=list)


class IndexGate:
    """PointWriter in front of the store. Loop thread only. `accepted` hears of every accepted count."""

    def __init__(
        self,
        store: PointWriter,
        clock: Clock,
        events: EventLog,
        accepted: Accepted = lambda definition, state, verdict: None,
    ) -> None:
        self._store, self._clock, self._events, self._accepted = store, clock, events, accepted
        # set on every sample from outside, such as CLOCK_UNSYNCED
        self.mark = Quality.GOOD
        self._gated: dict[int, _Gated] = {}
        self._growth = GROWTH
        self._tests: dict[int, _Device] = {}
        self._devices: dict[str, _Device] = {}
        self._kept: dict[str, IndexState] = {}
        self._tested: dict[int, _Device] = {}
        # of the last reply: its time, and what it said of each energy
        self._registers: tuple[int, dict[int, bytes]] = 0, {}

    def restore(self, kept: Mapping[str, IndexState]) -> None:
        """Take what an earlier process kept, by point id; before `redefine`."""
        self._kept = dict(kept)

    def redefine(self, devices: Iterable[FieldDevice], growth: float = GROWTH) -> None:
        """Take the devices of a configuration; indexes that stay go on. `growth`: see `most_per_s`."""
        self._growth = growth
        before, serials = self._gated, {name: device.serial for name, device in self._devices.items()}
        self._gated, self._tests, self._devices, self._tested = {}, {}, {}, {}
        for device in devices:
            name = device.definition.id
            mine = self._devices[name] = _Device(device.definition, serials.get(name, ""))
            for point in device.points:
                definition = point.definition
                if point.read is None:
                    continue
                if definition.meaning.quantity is Quantity.TEST_MODE:
                    self._tests[definition.index] = mine
                if counts_up(definition):
                    gated = self._gate(definition, mine, before.get(definition.index))
                    self._gated[definition.index] = gated
                    mine.indexes.append(gated)
            if any(device_ is mine for device_ in self._tests.values()):
                self._tested |= {point.definition.index: mine for point in device.points}

    def held(self) -> Batch:
        """Return what is known of every index before any reading: the count of an earlier process, as STALE."""
        return [
            (index, Sample(gated.index.state.count, Quality.STALE, gated.index.state.source_ns, 0))
            for index, gated in self._gated.items()
            if gated.index.state is not None
        ]

    def owns(self, index: int) -> bool:
        """Tell whether a point is an index that is read from a meter."""
        return index in self._gated

    def state(self, index: int) -> IndexState | None:
        """Return what is known of an index."""
        gated = self._gated.get(index)
        return gated.index.state if gated is not None else None

    def serial(self, device: str, serial: str) -> None:
        """A meter has told its serial number."""
        mine = self._devices.get(device)
        if mine is None or not serial:
            return
        mine.serial = serial
        others = [gated for gated in mine.indexes if gated.index.replaced(serial)]
        if others:
            text = f"{device}: another meter, serial number {serial}; its indexes start a new epoch"
            self._events.record(EventKind.ACCUMULATOR, 192, text, device=device)

    def registers(self, utc_ns: int, energies: Iterable[tuple[int, bytes]]) -> None:
        """The reply of `utc_ns`, whose samples are published next, had these registers for these points."""
        self._registers = utc_ns, dict(energies)

    def publish(self, batch: Published) -> None:
        gated, tested = self._gated, self._tested
        judged: Batch = []
        for change in batch:
            index, sample = change
            mine = gated.get(index)
            if mine is not None:
                judged.append((index, self._judge(mine, sample)))
            elif tested and index in tested:
                judged.append((index, self._in_test(index, sample)))
            else:
                judged.append(change)
        if self.mark:
            judged = [(index, _marked(sample, self.mark)) for index, sample in judged]
        self._store.publish(judged)

    def _gate(self, definition: PointDef, device: _Device, before: _Gated | None) -> _Gated:
        limits = IndexLimits(definition.modulus, most_per_s(definition, device.definition, self._growth))
        if before is not None and before.definition.resolution == definition.resolution:
            before.index.limits = limits
            return _Gated(definition, before.index, device, before.accepted_ns, before.last)
        index = Index(limits, self._kept.get(definition.id))
        if device.serial:
            index.replaced(device.serial)
        return _Gated(definition, index, device)

    def _in_test(self, index: int, sample: Sample) -> Sample:
        """M-48: what a meter shows in test mode is no measurement."""
        device = self._tests.get(index)
        if device is not None:
            tested = bool(sample.value) and not sample.quality & UNUSABLE
            if tested is not device.tested:
                device.tested = tested
                text = f"{device.definition.id}: test mode {'begins' if tested else 'ends'}"
                self._events.record(EventKind.SYSTEM, 128, text, device=device.definition.id, index=index)
            return sample
        if not self._tested[index].tested:
            return sample
        return Sample(
            sample.value, sample.quality | Quality.SUBSTITUTED | Quality.QUESTIONABLE, sample.source_ns, sample.seq
        )

    def _judge(self, mine: _Gated, sample: Sample) -> Sample:
        state = mine.index.state
        count = sample.value
        if mine.device.tested:
            return _showing(state, Quality.SUBSTITUTED | Quality.QUESTIONABLE | sample.quality, sample)
        if sample.quality & UNUSABLE or not isinstance(count, int) or isinstance(count, bool):
            return _showing(state, sample.quality, sample)
        now = self._clock.monotonic_ns()
        elapsed = now - mine.accepted_ns if mine.accepted_ns else self._since_start(state, sample)
        at_ns, registers = self._registers
        raw = registers.get(mine.definition.index, b"") if at_ns == sample.source_ns else b""
        verdict = mine.index.take(count, sample.source_ns, elapsed, raw)
        if verdict in ACCEPTING:
            mine.accepted_ns = now
        if verdict is not mine.last or verdict in (Verdict.ROLLED, Verdict.REPLACED, Verdict.RESET):
            self._tell(mine, verdict, state, count, raw)
            mine.last = verdict
        quality = sample.quality | _QUALITIES[verdict]
        if verdict not in ACCEPTING:
            return _showing(state, quality, sample)
        accepted = mine.index.state
        assert accepted is not None
        self._accepted(mine.definition, accepted, verdict)
        return Sample(count, quality, sample.source_ns, sample.seq)

    def _since_start(self, state: IndexState | None, sample: Sample) -> int:
        # over a restart only the wall clock knows; when that went back, nothing is known and nothing is refused
        passed = sample.source_ns - state.source_ns if state is not None else 0
        return passed if passed > 0 else 1 << 62

    def _tell(self, mine: _Gated, verdict: Verdict, before: IndexState | None, count: int, raw: bytes) -> None:
        if verdict is Verdict.ACCEPTED:
            return
        definition = mine.definition
        unit, was = definition.unit, before.count if before is not None else 0
        text = (
            f"{definition.id} {verdict.value}: {decimal_text(was, definition.resolution)} {unit} -> "
            f"{decimal_text(count, definition.resolution)} {unit}"
        )
        if raw:
            text += f", registers {raw.hex(' ', 2)}"
        sample = Sample(count, _QUALITIES[verdict], 0, 0)
        self._events.record(
            EventKind.ACCUMULATOR,
            _PRIORITIES[verdict],
            text,
            device=definition.device,
            index=definition.index,
            sample=sample,
        )


def most_per_s(definition: PointDef, device: DeviceDef, growth: float = GROWTH) -> float:
    """
    Return counts per second that nothing of the device's nominal values exceeds; 0 where these are not stated.

    `growth`: times the nominal power, which overload and rounded nominal values exceed; 0 = no bound.
    """
    nominal = device.nominal
    watts = 3 * nominal.voltage_v * nominal.current_a * growth
    return watts / 3600 / 10.0 ** exponent_of(definition)


def _marked(sample: Sample, mark: Quality) -> Sample:
    return Sample(sample.value, sample.quality | mark, sample.source_ns, sample.seq)


def _showing(state: IndexState | None, quality: Quality, sample: Sample) -> Sample:
    if state is None:
        return Sample(None, quality | Quality.NEVER_READ, 0, sample.seq)
    return Sample(state.count, quality & ~Quality.NEVER_READ, state.source_ns, sample.seq)
