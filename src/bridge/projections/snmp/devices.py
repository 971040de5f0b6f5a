"""
The device table and what it knows: which meters answer, since when, how many of their points are bad.

A meter is offline while points of it have COMM_LOST and its communication status says that it does not answer; without
such a point, while none that was ever read is without COMM_LOST. It is back with the first point that comes again.
"""

import enum
from array import array
from collections.abc import Callable, Mapping, Sequence

from bridge.core.point import Batch, DeviceDef, Wiring
from bridge.core.ports import PointReader
from bridge.core.quality import UNUSABLE, Quality
from bridge.projections.snmp.ber import Syntax, Value
from bridge.projections.snmp.objects import objects_oid
from bridge.projections.snmp.oidtree import Freshness, Instance, Instances, ObjectType, Table
from bridge.projections.snmp.plan import DEVICE_ARC, DeviceRow, Plan
from bridge.projections.snmp.values import date_of, text_bytes, text_of

# as int: an operation of IntFlag costs as much as all else
_NEVER_READ, _COMM_LOST, _UNUSABLE = int(Quality.NEVER_READ), int(Quality.COMM_LOST), int(UNUSABLE)
_WIRINGS = (Wiring.SINGLE_PHASE, Wiring.THREE_WIRE, Wiring.FOUR_WIRE)


class Status(enum.IntEnum):
    """MbStatus of the MIB."""

    UNKNOWN = 1
    ONLINE = 2
    DEGRADED = 3
    OFFLINE = 4


class Device:
    """One meter. The counts are of its points: all, never read, without communication, not usable."""

    __slots__ = ("bad", "definition", "indexes", "lost", "place", "row", "since_cs", "status", "unread")

    def __init__(self, row: DeviceRow, definition: DeviceDef, place: int) -> None:
        self.row, self.definition, self.place = row, definition, place
        self.indexes: list[int] = []
        self.unread = self.lost = self.bad = 0
        self.status = Status.UNKNOWN
        self.since_cs = 0


# What hears of a meter that is lost or back.
Tell = Callable[[Device, Status, Status], None]


class Devices:
    """Loop thread only."""

    def __init__(
        self, plan: Plan, points: PointReader, uptime_cs: Callable[[], int], places: Mapping[int, int]
    ) -> None:
        """`places`: point index -> position in the plan's rows."""
        self._points, self._uptime_cs, self._places = points, uptime_cs, places
        definitions = {device.id: device for device in points.devices()}
        self.devices = [Device(row, definitions[row.id], at) for at, row in enumerate(plan.devices)]
        by_number = {device.row.number: device for device in self.devices}
        self._owners = [by_number[row.device] for row in plan.rows]
        self._known = array("H", [_NEVER_READ]) * len(plan.rows)
        for row, device in zip(plan.rows, self._owners, strict=True):
            device.indexes.append(row.index)
        for device in self.devices:
            device.unread = device.bad = len(device.indexes)
        self._stated = {i for row in plan.devices for i in (row.serial, row.firmware, row.status) if i >= 0}
        self.table = self._device_table(plan)
        self._forget: Callable[[Table, int], None] = lambda table, handle: None

    def shown_by(self, forget: Callable[[Table, int], None]) -> None:
        """`forget`: the tree's `changed`."""
        self._forget = forget

    def update(self, batch: Batch, tell: Tell) -> None:
        """Count; `tell` of every meter whose status is another after the whole batch."""
        touched: dict[int, Device] = {}
        for index, sample in batch:
            at = self._places[index]
            before, now = self._known[at], int(sample.quality)
            if before != now:
                self._known[at] = now
                device = self._owners[at]
                _count(device, before, -1)
                _count(device, now, 1)
                touched[device.row.number] = device
            elif index in self._stated:
                touched[self._owners[at].row.number] = self._owners[at]
        for device in touched.values():
            before_status, device.status = device.status, self._judge(device)
            if device.status is not before_status:
                device.since_cs = self._uptime_cs()
                tell(device, before_status, device.status)
            self._forget(self.table, device.place)

    def offline(self) -> int:
        return sum(device.status is Status.OFFLINE for device in self.devices)

    def bad_points(self) -> int:
        return sum(device.bad for device in self.devices)

    def _judge(self, device: Device) -> Status:
        read = len(device.indexes) - device.unread
        if not read and not device.lost:
            return Status.UNKNOWN
        if device.lost and (device.lost >= read or self._silent(device.row.status)):
            return Status.OFFLINE
        return Status.DEGRADED if device.bad > device.unread else Status.ONLINE

    def _silent(self, status: int) -> bool:
        """Whether the communication status says 0: the bridge's own is good then, one read from the meter is lost."""
        if status < 0:
            return False
        sample = self._points.get(status)
        return not sample.value or bool(int(sample.quality) & _COMM_LOST)

    def _device_table(self, plan: Plan) -> Table:
        devices = self.devices
        text, integer, gauge = Syntax.OCTET_STRING, Syntax.INTEGER32, Syntax.GAUGE32
        reads: Sequence[tuple[int, Syntax, Callable[[Device], Value | None]]] = (
            (2, text, lambda d: text_bytes(d.definition.id)),
            (3, text, lambda d: text_bytes(d.definition.vendor)),
            (4, text, lambda d: text_bytes(d.definition.model)),
            (5, text, lambda d: self._stated_text(d.row.serial)),
            (6, text, lambda d: self._stated_text(d.row.firmware)),
            (7, text, lambda d: text_bytes(d.definition.channel)),
            (8, gauge, lambda d: d.definition.unit_id),
            (9, text, lambda d: text_bytes("; ".join(f"{k}={v}" for k, v in d.definition.labels.items()))),
            (10, integer, lambda d: 1 if d.definition.mid else 2),
            (11, integer, lambda d: 1 + _WIRINGS.index(d.definition.wiring)),
            (12, integer, lambda d: int(d.status)),
            (13, Syntax.TIME_TICKS, lambda d: d.since_cs),
            (15, gauge, lambda d: len(d.indexes)),
            (16, gauge, lambda d: d.bad),
        )
        entry = objects_oid(plan, DEVICE_ARC, 1)
        columns = [ObjectType((*entry, arc), syntax, _reader(read, devices)) for arc, syntax, read in reads]
        columns.append(ObjectType((*entry, 14), text, lambda at: self._last(devices[at]), Freshness.LIVE))
        return Table(columns, Instances([Instance((d.row.number,), at) for at, d in enumerate(devices)]))

    def _last(self, device: Device) -> bytes | None:
        """Return the time of the newest sample."""
        return date_of(max((self._points.get(index).source_ns for index in device.indexes), default=0))

    def _stated_text(self, index: int) -> bytes | None:
        if index < 0:
            return None
        return text_of(self._points.definition(index), self._points.get(index).value)


def _count(device: Device, quality: int, step: int) -> None:
    if quality & _NEVER_READ:
        device.unread += step
    elif quality & _COMM_LOST:
        device.lost += step
    if quality & _UNUSABLE:
        device.bad += step


def _reader(read: Callable[[Device], Value | None], devices: Sequence[Device]) -> Callable[[int], Value | None]:
    return lambda at: read(devices[at])
