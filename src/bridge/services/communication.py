"""
Communication status of every device: 1 = it answers, 0 = it does not (P-04); good quality both ways, for the bridge
knows it by itself.
"""

from collections.abc import Iterable, Mapping

from bridge.config.model import FieldDevice
from bridge.core.clock import Clock
from bridge.core.point import Batch, Sample
from bridge.core.quality import Quality
from bridge.core.quantity import Quantity
from bridge.core.store import PointStore, Published

# ns; how often an unchanged status is told again, so that its time moves
_AGAIN_NS = 10_000_000_000


def status_points(devices: Iterable[FieldDevice]) -> dict[int, int]:
    """Return measured point -> status point of its device, for devices whose status has no register."""
    found: dict[int, int] = {}
    for device in devices:
        status = next(
            (
                point.definition.index
                for point in device.points
                if point.read is None and point.definition.meaning.quantity is Quantity.COMMUNICATION_STATUS
            ),
            None,
        )
        if status is not None:
            found |= {point.definition.index: status for point in device.points if point.read is not None}
    return found


class Communication:
    """Loop thread only. It judges by what the poller publishes: each batch is of one device."""

    def __init__(self, store: PointStore, clock: Clock, points: Mapping[int, int] | None = None) -> None:
        self._store, self._clock = store, clock
        self._status_of = dict(points or {})
        self._told: dict[int, tuple[bool, int]] = {}
        self._seq = 0
        self._cancel = store.feed(self._hear)

    def redefine(self, points: Mapping[int, int]) -> None:
        """Take other points, after a reload."""
        self._status_of = dict(points)

    def close(self) -> None:
        """Stop listening."""
        self._cancel()

    def _hear(self, published: Published) -> None:
        now = self._clock.monotonic_ns()
        batch: Batch = []
        for index, sample in published:
            status = self._status_of.get(index)
            # a mark of age says nothing of the device: it stands on points that wait for their turn
            if status is None or sample.quality & Quality.STALE:
                continue
            answers = not sample.quality & Quality.COMM_LOST
            told = self._told.get(status)
            if told is not None and told[0] is answers and now - told[1] < _AGAIN_NS:
                continue
            self._told[status] = (answers, now)
            self._seq += 1
            batch.append((status, Sample(answers, Quality.GOOD, self._clock.utc_ns(), self._seq)))
        if batch:
            self._store.publish(batch)
