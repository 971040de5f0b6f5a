"""Which samples are worth a row: one a period, or every change beyond a deadband. Loop thread only."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bridge.config.history_keys import RecordKey
from bridge.core.clock import Clock
from bridge.core.point import PointDef, Sample, Value
from bridge.core.rules import Rules
from bridge.core.store import PointStore, Published

# (point id, sample) to be recorded
Record = Callable[[str, Sample], None]


@dataclass(slots=True)
class _Recorded:
    """One point. `due_ns`: monotonic time of the next row, with a period."""

    id: str
    every_ns: int
    deadband: float
    key: RecordKey
    due_ns: int = 0
    value: Value = None
    quality: int = -1


class Recording:
    """Hears everything the store publishes; tells `record` what to keep."""

    def __init__(self, store: PointStore, clock: Clock, record: Record) -> None:
        self._clock, self._record = clock, record
        self._points: dict[int, _Recorded] = {}
        self._cancel = store.feed(self._hear)

    def redefine(self, keys: Sequence[RecordKey], points: Iterable[PointDef]) -> None:
        """Take the points of a configuration."""
        rules, before = Rules(keys), self._points
        self._points = {}
        for point in points:
            key = rules.find(point.id)
            if key is None:
                continue
            old = before.get(point.index)
            made = _Recorded(point.id, round(key.every_s * 1e9), key.deadband, key)
            if old is not None:
                made.due_ns, made.value, made.quality = old.due_ns, old.value, old.quality
            self._points[point.index] = made

    def keys(self) -> dict[str, RecordKey]:
        """Return what the site says of each recorded point."""
        return {recorded.id: recorded.key for recorded in self._points.values()}

    def close(self) -> None:
        """Stop listening."""
        self._cancel()

    def _hear(self, batch: Published) -> None:
        points = self._points
        if not points:
            return
        now = self._clock.monotonic_ns()
        for index, sample in batch:
            point = points.get(index)
            if point is not None and self._worth(point, sample, now):
                point.value, point.quality = sample.value, int(sample.quality)
                self._record(point.id, sample)

    def _worth(self, point: _Recorded, sample: Sample, now: int) -> bool:
        if sample.value is None and point.quality < 0:
            return False
        changed = int(sample.quality) != point.quality
        if point.every_ns:
            if now < point.due_ns:
                return changed
            # a grid, so that a late sample does not move the next one
            late = (now - point.due_ns) % point.every_ns if point.due_ns else 0
            point.due_ns = now - late + point.every_ns
            return True
        if changed:
            return True
        if isinstance(sample.value, float) and isinstance(point.value, float):
            return abs(sample.value - point.value) > point.deadband
        return sample.value != point.value
