"""
The billing lock of a meter: while it is on, nothing that a bill is made from is reset (E-08; seed 004, l.8110).

The peak of the demand is not among these: it is what even a MID meter lets be reset (seed 003).
"""

from collections.abc import Iterable

from bridge.core.point import PointDef
from bridge.core.ports import PointReader
from bridge.core.quality import Quality
from bridge.core.quantity import ENERGIES, Quantity

_BILLED_BY = ENERGIES | {
    Quantity.RESET_PARTIAL_ENERGY,
    Quantity.CT_PRIMARY_RATING,
    Quantity.CT_SECONDARY_RATING,
    Quantity.PT_PRIMARY_RATING,
    Quantity.PT_SECONDARY_RATING,
    Quantity.PULSE_CONSTANT,
}


class BillingLocks:
    """Loop thread only."""

    def __init__(self, points: PointReader) -> None:
        self._points = points
        self._locks: dict[str, int] = {}

    def redefine(self, definitions: Iterable[PointDef]) -> None:
        """Take the points of a configuration."""
        locks = [d for d in definitions if d.meaning.quantity is Quantity.BILLING_LOCK]
        self._locks = {lock.device: lock.index for lock in locks}

    def holds(self, definition: PointDef) -> bool:
        """Tell whether a lock keeps a point from being written; one that was never read counts as on."""
        index = self._locks.get(definition.device)
        if index is None or definition.meaning.quantity not in _BILLED_BY:
            return False
        lock = self._points.get(index)
        return bool(lock.quality & Quality.NEVER_READ) or bool(lock.value)
