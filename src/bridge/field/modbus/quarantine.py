"""Which questions must not be asked yet, because a late reply to an earlier one would look the same. Pure.

Nothing in an RTU reply says which request it answers (pymodbus 3.16.1 then returns another register's value).
A good reply of another shape proves that no late one is left: devices answer in order.
"""

from collections.abc import Iterable

from bridge.modbus.frame import ONLY_DEVICE
from bridge.modbus.reply import EXCEPTION_BIT, Shape, shape_of


class Quarantine:
    """The unanswered requests of a line. `late_ns`: how long after a time-out a device may still answer."""

    def __init__(self, late_ns: int) -> None:
        self._late_ns = late_ns
        self._suspects: dict[int, dict[Shape, int]] = {}

    def __bool__(self) -> bool:
        return bool(self._suspects)

    def wait_ns(self, unit_id: int, pdu: bytes, now_ns: int) -> int:
        """Return how long a late reply could still be taken for the reply to this request."""
        if not self._suspects:
            return 0
        shape = shape_of(pdu)
        until = now_ns
        for unit in self._same(unit_id):
            for other, at in self._suspects[unit].items():
                if other == shape or shape.length is None:
                    until = max(until, at)
        return until - now_ns

    def suspect(self, unit_id: int, pdu: bytes, now_ns: int) -> None:
        """Remember a request that was not answered in time."""
        self._suspects.setdefault(unit_id, {})[shape_of(pdu)] = now_ns + self._late_ns

    def trusts(self, unit_id: int, answer: bytes, now_ns: int) -> bool:
        """Tell whether `answer` belongs to the request just sent; a proof of order ends the quarantine."""
        units = list(self._same(unit_id))
        if answer[0] & EXCEPTION_BIT and any(max(self._suspects[unit].values()) > now_ns for unit in units):
            # exceptions have no shape: this one may be the late answer to the earlier request
            return False
        if not answer[0] & EXCEPTION_BIT:
            for unit in units:
                del self._suspects[unit]
        return True

    def _same(self, unit_id: int) -> Iterable[int]:
        """The suspicious unit ids whose replies could be taken for those of `unit_id`."""
        if unit_id == ONLY_DEVICE:
            return tuple(self._suspects)
        return [unit for unit in (unit_id, ONLY_DEVICE) if unit in self._suspects]
