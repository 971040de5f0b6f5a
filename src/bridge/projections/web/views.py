"""Core facts -> the rows that the API answers and the pages show."""

from collections.abc import Sequence

from bridge.core.accumulator import decimal_text
from bridge.core.alarm import Alarm, band_of
from bridge.core.point import Kind, PointDef
from bridge.core.quality import UNUSABLE
from bridge.projections.web.core import Core
from bridge.projections.web.rows import AlarmRow, Device, DeviceState, Point
from bridge.projections.web.shown import quality_words


def point_row(core: Core, definition: PointDef) -> Point:
    """Return one point as it is now."""
    sample = core.sample(definition)
    value = sample.value
    if definition.kind is Kind.ACCUMULATOR and isinstance(value, int):
        value = decimal_text(value, definition.resolution)
    elif isinstance(value, float) and not -1e308 < value < 1e308:
        # JSON has no infinity
        value = None
    age_s = core.age_s(sample)
    return Point(
        id=definition.id,
        device=definition.device,
        label=definition.label,
        kind=definition.kind.value,
        unit=definition.unit,
        value=value,
        quality=list(quality_words(sample.quality)),
        usable=not sample.quality & UNUSABLE,
        source_ns=sample.source_ns,
        age_s=None if age_s is None else round(age_s, 3),
        writable=definition.writable,
        mid=definition.mid,
    )


def device_row(core: Core, device_id: str, label: str, state: DeviceState | None) -> Device:
    """Raises: KeyError for a device that is not there."""
    device = core.devices[device_id]
    usable, points = core.usable_share(device_id)
    return Device(
        id=device.id,
        label=label,
        vendor=device.vendor,
        model=device.model,
        meter=device.meter,
        channel=device.channel,
        unit_id=device.unit_id,
        mid=device.mid,
        labels=device.labels,
        usable=usable,
        points=points,
        state=state,
    )


async def device_rows(core: Core) -> list[Device]:
    """Return every device, in the order of the site. Raises: OperationRefused."""
    site, status = await core.site(), await core.status()
    states = {state.name: state for state in status.devices}
    return [device_row(core, name, site.devices.get(name, ""), states.get(name)) for name in core.devices]


def found_points(core: Core, search: str, device: str) -> Sequence[PointDef]:
    """Return the points whose id, label or unit has every word of `search`."""
    wanted = search.lower().split()
    among = core.by_device.get(device, []) if device else list(core.defs.values())
    if not wanted:
        return among
    return [
        definition
        for definition in among
        if all(word in f"{definition.id} {definition.label} {definition.unit}".lower() for word in wanted)
    ]


def alarm_row(core: Core, alarm: Alarm) -> AlarmRow:
    """Return one alarm as shown."""
    try:
        point = core.points.definition(alarm.index).id
    except KeyError:
        point = ""
    return AlarmRow(
        id=alarm.id,
        name=alarm.name,
        label=alarm.label,
        device=alarm.device,
        point=point,
        priority=alarm.priority,
        band=band_of(alarm.priority).name.lower(),
        active=alarm.active,
        start_ns=alarm.start_ns,
        end_ns=alarm.end_ns,
        duration_s=None if alarm.active else alarm.duration_ns / 1e9,
        limit=alarm.limit,
        before=alarm.before,
        extreme=alarm.extreme,
        acknowledged_ns=alarm.acknowledged_ns,
        acknowledged_by=alarm.acknowledged_by,
    )


def alarm_rows(core: Core, which: str = "") -> list[AlarmRow]:
    """Return alarms, the newest first; `which`: active, historic, or empty for all."""
    found = [alarm for alarm in core.alarms.alarms() if which == "" or alarm.active is (which == "active")]
    return [alarm_row(core, alarm) for alarm in reversed(found)]
