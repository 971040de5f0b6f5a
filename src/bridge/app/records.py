"""Ties billing and recording to the history: load profile, closing readings, recorded values, how long each stays."""

import asyncio
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from bridge.config.history_keys import HistoryKey
from bridge.config.model import SiteConfig
from bridge.core.clock import Clock
from bridge.core.point import PointDef, Sample
from bridge.core.quality import UNUSABLE, Quality
from bridge.core.store import PointStore
from bridge.history.recorder import Recorder
from bridge.history.rows import IndexRow, ProofRow, SampleRow, Tidying
from bridge.services.accumulator import IndexState
from bridge.services.billing import Closing, Closings, Profile, ProfileRecord, billed, profile_record
from bridge.services.index_gate import IndexGate
from bridge.services.recording import Recording

# Seconds between two looks at the clock, and looks between two times of tidying up
_LOOK_S = 1.0
_TIDY_LOOKS = 3600
_DAY_NS = 86_400e9


class Records:
    """Loop thread only. Does nothing until it has a recorder."""

    def __init__(self, store: PointStore, clock: Clock, gate: IndexGate, synchronised: Callable[[], bool]) -> None:
        self._synchronised = synchronised
        self._logged: list[PointDef] = []
        self._store, self._clock, self._gate = store, clock, gate
        self._recorder: Recorder | None = None
        self._recording = Recording(store, clock, self._record)
        self._billed: dict[str, PointDef] = {}
        self._key = HistoryKey()
        self._profile = Profile(self._period_ns)
        self._closings = Closings(ZoneInfo("UTC"), {})

    def start(self, recorder: Recorder | None, indexes: Mapping[str, IndexState], last_profile_ns: int) -> None:
        """Go on from what an earlier process recorded; after the first `apply`."""
        self._recorder = recorder
        self._closings = Closings(ZoneInfo(self._key.timezone), indexes)
        self._profile = Profile(self._period_ns, last_profile_ns)
        missed = self._profile.begins_after_gap(self._clock.utc_ns())
        if recorder is not None and missed:
            # E-12: an outage is a record, not a hole
            recorder.pending.profile += [IndexRow(id_, missed, None, 0, 0, 0) for id_ in self._billed]

    def apply(self, config: SiteConfig) -> None:
        """Take over a configuration."""
        before, self._key = self._key, config.services.history
        wanted = billed(self._key.billed, config.points)
        self._billed = {point.id: point for point in wanted if self._gate.owns(point.index)}
        # what the bridge adds up itself is no index: its value is logged
        sums = {point.id for point in wanted} - self._billed.keys()
        patterns = self._key.logged
        self._logged = [p for p in config.points if p.id in sums or any(fnmatchcase(p.id, one) for one in patterns)]
        self._recording.redefine(self._key.record, config.points)
        if before.profile_period_s != self._key.profile_period_s:
            self._profile = Profile(self._period_ns)

    def accepted(self, definition: PointDef, state: IndexState) -> None:
        """An index has a new reading."""
        if self._recorder is None or definition.id not in self._billed:
            return
        closings = self._closings.closed_by(definition.id, state)
        if closings:
            quality = int(self._store.get(definition.index).quality) | self._doubt()
            self._recorder.pending.proofs += [_proof(closing, definition, quality) for closing in closings]

    async def run(self) -> None:
        """Watch the clock until cancelled."""
        looks = 0
        while True:
            await asyncio.sleep(_LOOK_S)
            self.look()
            looks += 1
            if looks % _TIDY_LOOKS == 0:
                await self.tidy()

    def recorded(self) -> list[str]:
        """Return the points whose values are recorded, besides the billed ones."""
        return list(dict.fromkeys([*self._recording.keys(), *(point.id for point in self._logged)]))

    def look(self) -> None:
        """Record the interval that is over, if one is."""
        end_ns = self._profile.due(self._clock.utc_ns())
        if not end_ns or self._recorder is None:
            return
        pending, doubt = self._recorder.pending, self._doubt()
        for point in self._billed.values():
            sample = self._store.get(point.index)
            record = profile_record(point, self._gate.state(point.index), sample, end_ns, self._period_ns)
            pending.profile.append(_row(record, doubt))
        for point in self._logged:
            sample = self._store.get(point.index)
            known = not sample.quality & UNUSABLE and sample.source_ns > end_ns - self._period_ns
            value, quality = (sample.value if known else None), int(sample.quality) | doubt
            pending.samples.append(SampleRow(point.id, end_ns, value, quality))

    async def tidy(self) -> None:
        """Let go of what is older than it is to be kept."""
        if self._recorder is not None:
            await self._recorder.tidy(self._tidyings(self._clock.utc_ns()))

    def _tidyings(self, now_ns: int) -> list[Tidying]:
        oldest = now_ns - self._period_ns * self._key.profile_records
        keys, logged = self._recording.keys(), {point.id for point in self._logged}
        made: list[Tidying] = []
        for id_ in {**self._billed, **dict.fromkeys(logged), **keys}:
            key = keys.get(id_)
            samples = [oldest] if id_ in logged else []
            if key is not None:
                samples.append(now_ns - round(key.keep_days * _DAY_NS))
            period_ns = key.then_every_s * 1_000_000_000 if key is not None else 0
            made.append(
                Tidying(
                    id_,
                    oldest if id_ in self._billed else 0,
                    min(samples, default=0),
                    now_ns - round(key.then_keep_days * _DAY_NS) if key is not None and period_ns else 0,
                    period_ns,
                    now_ns,
                )
            )
        return made

    def _doubt(self) -> int:
        """T-07: a reading that is billed by says when the clock that stamped it was not to be believed."""
        return int(Quality.GOOD if self._synchronised() else Quality.CLOCK_UNSYNCED)

    @property
    def _period_ns(self) -> int:
        return self._key.profile_period_s * 1_000_000_000

    def _record(self, point: str, sample: Sample) -> None:
        if self._recorder is not None:
            at = self._clock.utc_ns()
            self._recorder.pending.samples.append(SampleRow(point, at, sample.value, int(sample.quality)))


def _row(record: ProfileRecord, doubt: int) -> IndexRow:
    return IndexRow(
        record.point,
        record.at_ns,
        record.count,
        record.epoch,
        record.source_ns,
        record.quality | doubt,
        record.registers,
    )


def _proof(closing: Closing, definition: PointDef, quality: int) -> ProofRow:
    state = closing.state
    return ProofRow(
        closing.point,
        closing.period,
        state.count,
        definition.resolution,
        definition.unit,
        state.epoch,
        state.serial,
        state.source_ns,
        quality,
        state.registers,
    )
