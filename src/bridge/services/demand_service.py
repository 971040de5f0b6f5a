"""Feeds powers to their demand windows and shows value, prediction and peak as points."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bridge.core.clock import Clock
from bridge.core.point import Batch, Sample, Value
from bridge.core.quality import UNUSABLE, Quality
from bridge.core.quantity import Statistic
from bridge.core.store import PointStore, Published
from bridge.services.arithmetic import scaled, tidy
from bridge.services.demand import Demand, DemandSettings, DemandWindow, Part, Peak
from bridge.services.demand_points import DemandPoints

# Seconds between two looks at the clock; integration is exact all the same
_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class DemandKept:
    """What of one demand outlives a restart."""

    id: str
    settings: DemandSettings
    peak: Peak
    parts: tuple[Part, ...]
    coincident: Demand | None = None


@dataclass(slots=True)
class _Running:
    points: DemandPoints
    settings: DemandSettings
    window: DemandWindow
    peak: Peak = field(default_factory=Peak)
    last: Demand | None = None
    # in the window of the leading demand's peak
    coincident: Demand | None = None


Told = Callable[[DemandPoints, Demand], None]


class DemandService:
    """Loop thread only. `told` hears of every window that the clock was stepped in."""

    def __init__(self, store: PointStore, clock: Clock, told: Told = lambda points, demand: None) -> None:
        self._store, self._clock, self._told = store, clock, told
        self._running: dict[str, _Running] = {}
        self._by_source: dict[int, list[_Running]] = {}
        self._by_place: dict[tuple[str, int], list[_Running]] = {}
        self._seq = 0
        self._cancel = store.feed(self._hear)

    def redefine(self, demands: Sequence[tuple[DemandPoints, DemandSettings]]) -> None:
        """Take other demands; one that means the same goes on."""
        before, self._running = self._running, {}
        self._by_source, self._by_place = {}, {}
        for points, settings in demands:
            old = before.get(points.id)
            if old is not None and old.settings == settings:
                running = _Running(points, settings, old.window, old.peak, old.last, old.coincident)
            else:
                running = _Running(points, settings, DemandWindow(settings, points.hold_ns))
                if old is not None:
                    running.peak, running.coincident = old.peak, old.coincident
            self._running[points.id] = running
            self._by_source.setdefault(points.source, []).append(running)
            self._by_place.setdefault((points.device, points.circuit), []).append(running)

    def kept(self) -> list[DemandKept]:
        """Return what must outlive a restart."""
        return [
            DemandKept(r.points.id, r.settings, r.peak, r.window.saved(), r.coincident) for r in self._running.values()
        ]

    def restore(self, kept: Sequence[DemandKept]) -> None:
        """Go on from what an earlier process kept; call once, before the first reading."""
        utc_ns, monotonic_ns = self._clock.utc_ns(), self._clock.monotonic_ns()
        batch: Batch = []
        for one in kept:
            running = self._running.get(one.id)
            if running is None:
                continue
            running.peak, running.coincident = one.peak, one.coincident
            self._show_coincident(running, batch)
            if one.settings.step_ns == running.settings.step_ns:
                running.window.restore(one.parts, utc_ns, monotonic_ns)
            self._show_peak(running, one.peak.at_utc_ns, Quality.GOOD, batch)
        self._publish(batch)

    def set_interval(self, device: str, interval_min: int) -> None:
        """Begin the windows of a device anew with another interval; peaks stay."""
        for running in self._running.values():
            if running.points.device == device and running.settings.interval_min != interval_min:
                settings = DemandSettings(interval_min, running.settings.subintervals, running.settings.lockout_days)
                running.settings, running.last = settings, None
                running.window = DemandWindow(settings, running.points.hold_ns)

    def reset_peaks(self, device: str) -> bool:
        """Begin the peaks of a device anew; False, and nothing is done, while the lock-out runs for one of them."""
        mine = [running for running in self._running.values() if running.points.device == device]
        utc_ns = self._clock.utc_ns()
        if not mine or not all(running.peak.may_reset(utc_ns, running.settings) for running in mine):
            return False
        batch: Batch = []
        for running in mine:
            running.peak = running.peak.reset(utc_ns, running.last)
            self._show_peak(running, utc_ns, Quality.GOOD, batch)
        for running in mine:
            running.coincident = None
            self._find_coincident(running, batch)
        self._publish(batch)
        return True

    def close(self) -> None:
        """Stop listening."""
        self._cancel()

    async def run(self) -> None:
        """Look at the clock until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.look()

    def look(self) -> None:
        """Close the windows that are over."""
        utc_ns, monotonic_ns = self._clock.utc_ns(), self._clock.monotonic_ns()
        batch: Batch = []
        for running in self._running.values():
            for demand in running.window.look(utc_ns, monotonic_ns):
                self._complete(running, demand, batch)
        self._publish(batch)

    def _hear(self, published: Published) -> None:
        batch: Batch = []
        for index, sample in published:
            for running in self._by_source.get(index, ()):
                self._reading(running, sample, batch)
        self._publish(batch)

    def _reading(self, running: _Running, sample: Sample, batch: Batch) -> None:
        power = sample.value if not sample.quality & UNUSABLE else None
        value = running.points.counted(power) if isinstance(power, int | float) else None
        for demand in running.window.reading(value, self._clock.utc_ns(), self._clock.monotonic_ns()):
            self._complete(running, demand, batch)
        if Statistic.PREDICTED in running.points.values:
            predicted = running.window.predicted()
            quality = Quality.GOOD if value is not None else Quality.QUESTIONABLE
            self._show(running, Statistic.PREDICTED, predicted, sample.source_ns, quality, batch)

    def _complete(self, running: _Running, demand: Demand, batch: Batch) -> None:
        running.last = demand
        running.peak = running.peak.with_demand(demand)
        quality = Quality.GOOD if demand.whole else Quality.QUESTIONABLE
        self._show(running, Statistic.PRESENT, demand.value, demand.end_utc_ns, quality, batch)
        self._show_peak(running, demand.end_utc_ns, quality, batch)
        self._find_coincident(running, batch)
        if running.points.leads and running.peak.at_utc_ns == demand.end_utc_ns:
            # those whose window was over a moment earlier
            for other in self._beside(running):
                self._find_coincident(other, batch)
        if demand.stepped:
            self._told(running.points, demand)

    def _beside(self, running: _Running) -> list[_Running]:
        return self._by_place[running.points.device, running.points.circuit]

    def _find_coincident(self, running: _Running, batch: Batch) -> None:
        """E-04: what this demand was in the window of the leading one's peak."""
        if Statistic.COINCIDENT not in running.points.values or running.last is None:
            return
        leading = next((r for r in self._beside(running) if r.points.leads), None)
        peak = leading.peak if leading is not None else Peak()
        if peak.value is not None and peak.at_utc_ns == running.last.end_utc_ns:
            running.coincident = running.last
        self._show_coincident(running, batch)

    def _show_coincident(self, running: _Running, batch: Batch) -> None:
        if running.coincident is not None:
            at = running.coincident
            quality = Quality.GOOD if at.whole else Quality.QUESTIONABLE
            self._show(running, Statistic.COINCIDENT, at.value, at.end_utc_ns, quality, batch)

    def _show_peak(self, running: _Running, at_ns: int, quality: Quality, batch: Batch) -> None:
        peak = running.peak
        self._show(running, Statistic.PEAK, peak.value, at_ns, quality, batch)
        if Statistic.PEAK_TIME in running.points.values:
            index = running.points.values[Statistic.PEAK_TIME][0]
            batch.append((index, self._sample(peak.at_utc_ns if peak.value is not None else None, quality, at_ns)))

    def _show(
        self, running: _Running, statistic: Statistic, value: float | None, at_ns: int, quality: Quality, batch: Batch
    ) -> None:
        if statistic not in running.points.values:
            return
        index, exponent = running.points.values[statistic]
        shown = None if value is None else tidy(scaled(value, running.points.exponent - exponent))
        batch.append((index, self._sample(shown, quality, at_ns)))

    def _sample(self, value: Value, quality: Quality, at_ns: int) -> Sample:
        self._seq += 1
        if value is None:
            return Sample(None, Quality.NEVER_READ, 0, self._seq)
        return Sample(value, quality, at_ns, self._seq)

    def _publish(self, batch: Batch) -> None:
        if batch:
            self._store.publish(batch)
