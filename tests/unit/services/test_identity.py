"""bridge.services.identity: a device that is another one than before is told, once, until somebody acknowledges it."""

import msgspec
import pytest

from bridge.config.alarm_keys import AlarmsKey
from bridge.core.command import Origin, Outcome
from bridge.core.event import EventKind
from bridge.core.point import DeviceDef, Kind, Sample
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.services.alarm_rules import rules_of
from bridge.services.alarms import AlarmService
from bridge.services.events import EventLog
from bridge.services.identity import IdentityWatch, exchanged
from tests.support.clock import SECOND, ManualClock
from tests.support.field_points import device, point

FIRMWARE = point("firmware_version", 0, kind=Kind.TEXT)
SERIAL = point("serial_number", 1, kind=Kind.TEXT)
POWER = point("active_power_total", 2)
METER = device((FIRMWARE, SERIAL, POWER), [])


class Bench:
    def __init__(self, kept: dict[str, str] | None = None, key: AlarmsKey | None = None) -> None:
        self.clock = ManualClock()
        self.store = PointStore((FIRMWARE, SERIAL, POWER), [METER.definition])
        self.events = EventLog(self.clock)
        self.alarms = AlarmService(self.store, self.clock, self.events)
        self.alarms.redefine(rules_of(key or AlarmsKey(), [METER.definition], self.store.defs()).rules)
        self.kept: dict[str, str] = {}
        self.watch = IdentityWatch(self.store, self.events, self.alarms, self.kept.__setitem__)
        self.watch.restore(kept or {})
        self.watch.redefine([METER])
        self.watch.compare()

    def says(self, version: object, quality: Quality = Quality.GOOD) -> None:
        assert version is None or isinstance(version, str)
        self.clock.pass_s(1)
        self.store.publish([(FIRMWARE.index, Sample(version, quality, self.clock.utc, 1))])

    def told(self) -> list[str]:
        return [event.text for event in self.events.events() if event.kind is EventKind.CONFIGURATION]


# M-31
def test_a_firmware_that_changes_is_an_event_and_an_alarm_that_waits_for_somebody() -> None:
    bench = Bench()

    for version in ("1.04", "1.04", "1.05", "1.05"):
        bench.says(version)

    assert bench.told() == ["m: firmware_version was 1.04, is 1.05"]
    assert bench.kept["m.firmware_version"] == "1.05"
    (alarm,) = bench.alarms.alarms()
    assert (alarm.name, alarm.device, alarm.active, alarm.acknowledged_ns) == ("identity_changed", "m", False, 0)


def test_what_is_read_the_first_time_is_no_change() -> None:
    bench = Bench()

    bench.says("1.04")

    assert bench.told() == []
    assert bench.alarms.alarms() == []


@pytest.mark.parametrize(
    ("value", "quality"),
    [(None, Quality.GOOD), ("", Quality.GOOD), ("1.05", Quality.STALE), ("1.05", Quality.COMM_LOST)],
)
def test_what_is_no_present_reading_says_nothing_of_the_device(value: str | None, quality: Quality) -> None:
    bench = Bench()
    bench.says("1.04")

    bench.says(value, quality)

    assert bench.told() == []


def test_an_exchange_while_the_bridge_was_down_is_told() -> None:
    bench = Bench({"m": "test", "m.firmware_version": "1.04"})

    bench.says("2.00")

    assert bench.told() == ["m: firmware_version was 1.04, is 2.00"]


# C-06
async def test_a_device_that_has_become_another_meter_waits_for_somebody_to_confirm_it() -> None:
    bench = Bench({"m": "ion7400 ION7400"})

    assert bench.told() == ["m: meter was ion7400 ION7400, is test"]
    bench.watch.compare()
    assert len(bench.told()) == 1
    (alarm,) = bench.alarms.alarms()
    done = await bench.alarms.acknowledge(alarm.id, Origin("web", "10.0.0.9", "anna"), bench.clock.monotonic + SECOND)
    assert done.outcome is Outcome.DONE
    assert bench.alarms.alarms()[0].acknowledged_by == "anna"


def test_a_site_may_do_without_the_alarm_and_keeps_the_event() -> None:
    bench = Bench({"m": "ion7400"}, AlarmsKey(disable=("identity_changed",)))

    assert bench.alarms.alarms() == []
    assert len(bench.told()) == 1


def test_a_reload_that_makes_another_meter_of_a_device_is_seen_before_it_is_done() -> None:
    def other(**facts: object) -> DeviceDef:
        return msgspec.structs.replace(METER.definition, **facts)

    before = [METER.definition]

    assert exchanged(before, [other(meter="ion7400")]) == ["m was test, becomes ion7400"]
    assert exchanged(before, [other(model="E28")]) == ["m was test, becomes test E28"]
    assert exchanged(before, [other(unit_id=9), other(id="new", meter="ion7400")]) == []
    assert exchanged(before, []) == []
