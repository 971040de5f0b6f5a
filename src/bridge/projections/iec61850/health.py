"""The health of a device, from the quality of what it measures: Ok, Warning or Alarm (IEC 61850-7-4, HealthKind)."""

import enum
from collections import Counter
from dataclasses import dataclass, field

from bridge.projections.iec61850.quality import Bits


class Health(enum.IntEnum):
    OK = 1
    WARNING = 2
    ALARM = 3


class _Standing(enum.Enum):
    """Of one value: NEVER was read; LOST: old, the device does not answer; FAULT: it answers with an error."""

    NEVER = enum.auto()
    LOST = enum.auto()
    FAULT = enum.auto()
    PRESENT = enum.auto()


def _standing(quality: int) -> _Standing:
    if quality & Bits.OLD_DATA:
        return _Standing.LOST
    if quality & Bits.FAILURE:
        return _Standing.FAULT
    return _Standing.NEVER if quality & 0b11 == Bits.INVALID else _Standing.PRESENT


@dataclass(slots=True)
class DeviceHealth:
    """Counts the values of one device by standing. `quality` -1: of a value that has not been written yet."""

    _counts: Counter[_Standing] = field(default_factory=Counter)

    def moved(self, before: int, now: int) -> None:
        """A value went from one quality to another."""
        if before >= 0:
            self._counts[_standing(before)] -= 1
        self._counts[_standing(now)] += 1

    @property
    def health(self) -> Health | None:
        """ALARM: nothing of it is present any more. WARNING: some is not. None: nothing was ever read."""
        counts = self._counts
        if counts[_Standing.LOST] and not counts[_Standing.PRESENT] and not counts[_Standing.FAULT]:
            return Health.ALARM
        if counts[_Standing.LOST] or counts[_Standing.FAULT]:
            return Health.WARNING
        return Health.OK if counts[_Standing.PRESENT] else None
