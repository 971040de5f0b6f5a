"""
The clocks of meters, which hourly tariffs hang on (T-06): one that is wrong is told, and a setting of one is checked.

Why by events: a meter that confirms `sync_clock` has only said that it heard; its clock shows whether it did.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from bridge.core.clock import Clock
from bridge.core.event import EventKind
from bridge.core.point import PointDef, Sample
from bridge.core.quality import UNUSABLE
from bridge.core.quantity import Quantity
from bridge.core.store import PointStore, Published
from bridge.services.events import EventLog

# Seconds a clock of a meter may be off before it is told; theirs count in whole seconds
ERROR_S = 5.0
# ns; a reading this old may still show what a setting came to
_JUST_NOW_NS = 5_000_000_000


@dataclass(slots=True)
class _Shown:
    """A clock as it was last read. `set_`: a reading after its setting is waited for."""

    point: PointDef
    sample: Sample | None = None
    wrong: bool = False
    set_: bool = False


class DeviceClocks:
    """Loop thread only."""

    def __init__(self, store: PointStore, clock: Clock, events: EventLog) -> None:
        self._clock, self._events = clock, events
        self.error_s = ERROR_S
        self._shown: dict[int, _Shown] = {}
        self._cancel = store.feed(self._hear)

    def redefine(self, points: Iterable[PointDef]) -> None:
        """Take the points of a configuration."""
        before = self._shown
        clocks = [point for point in points if point.meaning.quantity is Quantity.DEVICE_CLOCK]
        self._shown = {point.index: before.get(point.index) or _Shown(point) for point in clocks}

    def was_set(self, device: str) -> None:
        """The clock of a device was set; tell what came of it."""
        for shown in self._shown.values():
            if shown.point.device != device:
                continue
            sample = shown.sample
            if sample is not None and self._clock.utc_ns() - sample.source_ns < _JUST_NOW_NS:
                self._check_setting(shown, sample)
            else:
                shown.set_ = True

    def close(self) -> None:
        """Stop listening."""
        self._cancel()

    def _hear(self, batch: Published) -> None:
        for index, sample in batch:
            shown = self._shown.get(index)
            if shown is None or sample.quality & UNUSABLE or not isinstance(sample.value, int):
                continue
            shown.sample = sample
            if shown.set_:
                self._check_setting(shown, sample)
            wrong = abs(_off_s(sample)) > self.error_s
            if wrong is not shown.wrong:
                shown.wrong = wrong
                self._tell(shown, 128 if wrong else 32, f"is {'wrong' if wrong else 'right again'}", sample)

    def _check_setting(self, shown: _Shown, sample: Sample) -> None:
        shown.set_ = False
        right = abs(_off_s(sample)) <= self.error_s
        self._tell(shown, 64 if right else 128, "was set" if right else "was set in vain", sample)

    def _tell(self, shown: _Shown, priority: int, what: str, sample: Sample) -> None:
        point = shown.point
        text = f"{point.id} {what}: off by {_off_s(sample):+.1f} s"
        self._events.record(EventKind.TIME, priority, text, device=point.device, index=point.index, sample=sample)


def _off_s(sample: Sample) -> float:
    assert isinstance(sample.value, int)
    return (sample.value - sample.source_ns) / 1e9
