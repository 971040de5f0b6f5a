"""
What the projection shows, as arrays by position: values, conditions, object ids, and the encoders bound to them.

No object of a BACnet library exists here. What never changes is encoded once per shape by a prototype
(stack/objects.py).
"""

import struct
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from bridge.core.point import Batch, PointDef, Role
from bridge.core.ports import PointReader
from bridge.projections.bacnet import wire
from bridge.projections.bacnet.plan import COMMANDABLE, DEVICE, REALS, TREND_LOG, Plan, Shape, Trend, View, unpack
from bridge.projections.bacnet.values import (
    CONDITION_OF,
    FLAGS_OF,
    RELIABILITY_OF,
    Condition,
    Show,
    Shown,
    encoder,
    initial,
    shower,
)

# No transition yet, and nothing to acknowledge.
NEVER, NONE_OPEN = (0, 0, 0), (False, False)
# Points loaded at a time.
_PART = 1000
# Ends the name of a Trend Log, after the name of the object it is of.
TREND_SUFFIX = ".trend"
Encoder = Callable[[int], bytes]
# (object id, position) -> one ReadAccessResult.
Recipe = Callable[[int, int], bytes]


class Slow:
    """Marks a property that exists but only a built object can answer."""


SLOW = Slow()
Entry = bytes | Encoder | Slow


@dataclass(slots=True)
class Definition:
    """A shape with what was learnt of it."""

    shape: Shape
    show: Show
    # Property id -> octets, encoder by position, or SLOW. Filled on first use; complete once `sealed`.
    entries: dict[int, Entry] = field(default_factory=dict)
    sealed: bool = False
    # Property-list octets of a ReadPropertyMultiple -> compiled answer (bounded in reads.py).
    recipes: dict[bytes, Recipe] = field(default_factory=dict)


class Catalogue:
    """Every point by position, and its live state. One event loop reads and writes; no lock."""

    def __init__(self, plan: Plan, points: PointReader) -> None:
        self._reader = points
        self.views: Sequence[View] = plan.views
        self.indexes = unpack(plan.indexes)
        self.object_ids = unpack(plan.object_ids)
        definitions = [Definition(shape, shower(shape)) for shape in plan.shapes]
        shape_of = unpack(plan.shape_of)
        self.definitions = definitions
        self.points: list[Definition] = [definitions[number] for number in shape_of]
        count = len(self.points)
        self.value: list[Shown] = [initial(point.shape) for point in self.points]
        self.condition = bytearray([Condition.NOT_HEARD]) * count
        # In the order of their positions.
        self.trends: Sequence[Trend] = plan.trends
        # Event state (0 normal) and out-of-service are BACnet's own; the condition comes from the quality.
        self.event_state = bytearray(count)
        self.out_of_service = bytearray(count)
        # Non-zero where present-value is not a Real, or the flags do not follow from the condition alone.
        self.special = bytearray(point.shape.object_type not in REALS for point in self.points)
        # Non-zero where `on_fault` must run when the reliability comes or goes; kept by the alarm board.
        self.intrinsic = bytearray(point.shape.event is not None for point in self.points)
        self.on_fault: Callable[[int], None] = _ignore
        # Times of the last transitions to off-normal, fault and normal, UTC ns, and those nobody acknowledged, as a
        # nibble of the first two; by position, for objects that had any.
        self.event_times: dict[int, tuple[int, int, int]] = {}
        self.unacknowledged: dict[int, tuple[bool, bool]] = {}
        # Non-zero where `on_change` must run; kept by the COV engine.
        self.watched = bytearray(count)
        self.on_change: Callable[[int], None] = _ignore
        # By index of the point; indexes are dense, and an array takes 4 bytes where a dict takes 100.
        self.position_of = array("i", [-1]) * (max(self.indexes, default=-1) + 1)
        for position, index in enumerate(self.indexes):
            self.position_of[index] = position
        self._names = plan.names
        self._by_name = {name: position for position, name in plan.names.items()}
        self._view_of = {view.device: view for view in plan.views}

    def load(self) -> None:
        """Take what every point is now, in parts: one list of all would stay in the memory of the process."""
        get = self._reader.get
        for first in range(0, len(self.indexes), _PART):
            self.update([(index, get(index)) for index in self.indexes[first : first + _PART]])

    def update(self, batch: Batch) -> None:
        """Take newer samples and tell the COV engine of those somebody watches."""
        positions, points, shown = self.position_of, self.points, self.value
        conditions, watched, intrinsic = self.condition, self.watched, self.intrinsic
        for index, sample in batch:
            position = positions[index]
            condition = CONDITION_OF[sample.quality]
            value = sample.value
            if value is not None:
                now = points[position].show(value)
                if now is not None:
                    shown[position] = now
                elif condition != Condition.NOT_HEARD:
                    low = isinstance(value, int | float) and value < 0
                    condition = Condition.UNDER_RANGE if low else Condition.OVER_RANGE
            if intrinsic[position] and RELIABILITY_OF[conditions[position]] != RELIABILITY_OF[condition]:
                conditions[position] = condition
                self.on_fault(position)
            conditions[position] = condition
            if watched[position]:
                self.on_change(position)

    def point(self, position: int) -> PointDef:
        """Return the definition of the point."""
        return self._reader.definition(self.indexes[position])

    def name(self, position: int) -> str:
        """Return the object name."""
        return self._names.get(position) or self.point(position).id

    def trend_name(self, trend: Trend) -> str:
        """Return the name of a Trend Log."""
        return self.name(trend.position) + TREND_SUFFIX

    def position_of_name(self, name: str) -> int | None:
        """Find a position by object name without a table of all names."""
        found = self._by_name.get(name)
        if found is not None:
            return found
        view = self._view_of.get(name.partition(".")[0])
        if view is None:
            return None
        members = range(view.first, view.first + view.count)
        return next((p for p in members if p not in self._names and self.point(p).id == name), None)

    def set_state(self, position: int, event_state: int, out_of_service: int) -> None:
        """Set what BACnet alone knows of a point; tells the COV engine like a new sample."""
        self.event_state[position], self.out_of_service[position] = event_state, out_of_service
        real = self.points[position].shape.object_type in REALS
        self.special[position] = bool(event_state or out_of_service or not real)
        if self.watched[position]:
            self.on_change(position)

    def flags(self, position: int) -> int:
        """Return Status_Flags as a nibble, see wire.STATUS_FLAGS_OCTETS."""
        nibble = FLAGS_OF[self.condition[position]]
        if self.event_state[position]:
            nibble |= wire.IN_ALARM
        return nibble | self.out_of_service[position]

    def dynamic_entries(self, shape: Shape) -> dict[int, Entry]:
        """Return the encoders of what changes or is computed, bound to the arrays."""
        value, condition = self.value, self.condition
        events, oos, ids = self.event_state, self.out_of_service, self.object_ids
        octets_of, flags_of = wire.STATUS_FLAGS_OCTETS, FLAGS_OF
        reliabilities = tuple(wire.enumerated(r) for r in RELIABILITY_OF)
        present = encoder(shape.object_type)

        def status(i: int) -> bytes:
            if events[i] or oos[i]:
                return octets_of[self.flags(i)]
            return octets_of[flags_of[condition[i]]]

        entries: dict[int, Entry] = {
            wire.PRESENT_VALUE: _real_of(value) if shape.object_type in REALS else lambda i: present(value[i]),
            wire.STATUS_FLAGS: status,
            wire.RELIABILITY: lambda i: reliabilities[condition[i]],
            wire.EVENT_STATE: lambda i: wire.enumerated(events[i]),
            wire.OUT_OF_SERVICE: lambda i: b"\x11" if oos[i] else b"\x10",
            wire.OBJECT_ID: lambda i: b"\xc4" + ids[i].to_bytes(4, "big"),
            wire.OBJECT_NAME: lambda i: wire.character_string(self.name(i)),
        }
        if shape.event is not None:
            times, open_ = self.event_times, self.unacknowledged
            entries[wire.EVENT_TIME_STAMPS] = lambda i: wire.time_stamps(times.get(i, NEVER))
            entries[wire.ACKED_TRANSITIONS] = lambda i: wire.transition_bits(*_acknowledged(open_.get(i, NONE_OPEN)))
        if shape.object_type in COMMANDABLE:
            # with nothing commanded the meter's own value stands
            entries[wire.RELINQUISH_DEFAULT] = entries[wire.PRESENT_VALUE]
            entries[wire.PRIORITY_ARRAY] = entries[wire.CURRENT_COMMAND_PRIORITY] = SLOW
        return entries


def _real_of(value: list[Shown]) -> Encoder:
    pack, tag = wire.pack_real, wire.REAL_TAG
    return lambda i: pack(tag, value[i])


def _acknowledged(open_: tuple[bool, bool]) -> tuple[bool, bool, bool]:
    return not open_[0], not open_[1], True


def _ignore(_position: int) -> None:
    return


class DeviceModel:
    """What one BACnet device (real or virtual) shows: its points by object id, its views and its own objects."""

    def __init__(self, catalogue: Catalogue, instance: int, positions: range) -> None:
        self.catalogue = catalogue
        self.object_id = DEVICE << 22 | instance
        ids = catalogue.object_ids
        self.by_object_id = {ids[position]: position for position in positions}
        # Object id -> number of the view in the catalogue.
        self.views: dict[int, int] = {}
        # Object id -> number of the Trend Log in the catalogue.
        at = [
            bisect_left(catalogue.trends, end, key=attrgetter("position")) for end in (positions.start, positions.stop)
        ]
        self.trends = {TREND_LOG << 22 | catalogue.trends[n].instance: n for n in range(*at)}
        self.fixed_ids: list[int] = []
        self._list: bytes | None = None

    def object_list(self) -> bytes:
        """Return the Object_List array as octets, 5 per object; built once, dropped by `changed`."""
        if self._list is None:
            ids = [*self.fixed_ids, *self.by_object_id, *self.trends, *self.views]
            raw = struct.pack(f">{len(ids)}I", *ids)
            self._list = b"".join([b"\xc4" + raw[k : k + 4] for k in range(0, len(raw), 4)])
        return self._list

    def is_dead(self) -> bool:
        """Tell whether no measurement of the device is heard any more."""
        catalogue = self.catalogue
        heard = (p for p in self.by_object_id.values() if catalogue.condition[p] != Condition.NOT_HEARD)
        return bool(self.by_object_id) and all(catalogue.point(p).role is not Role.MEASUREMENT for p in heard)

    def is_own(self, object_id: int) -> bool:
        """Tell whether an object id is one of the device itself, which the model does not answer for."""
        return (
            object_id == self.object_id
            or object_id in self.views
            or object_id in self.trends
            or object_id in self.fixed_ids
            or object_id & wire.WILDCARD == wire.WILDCARD
        )

    def changed(self) -> None:
        """Forget the object list."""
        self._list = None
