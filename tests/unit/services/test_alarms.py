"""services.alarms and services.alarm_rules: alarms of a site, their lists, events and acknowledgement."""

import pytest

from bridge.config.alarm_keys import AlarmKey, AlarmsKey
from bridge.core.alarm import Alarm, Band, Summary, Watched, band_of, summary_of
from bridge.core.command import Origin, Outcome
from bridge.core.event import EventKind
from bridge.core.point import Nominal, PointDef, Sample
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.services.alarm_list import AlarmList
from bridge.services.alarm_rules import SYSTEM, enabled, priority_of, rules_of, silent_devices, watched_points
from bridge.services.alarms import AlarmService
from bridge.services.events import EventLog
from tests.support.clock import NEW_YEAR, SECOND, ManualClock
from tests.support.field_points import device, point

V1, V2, V3 = (point(f"voltage_l{n}_n", n) for n in (1, 2, 3))
DOOR = point("tamper_alarm", 4, states=((0, "OK"), (1, "Open")))
NOMINAL = Nominal(230, 80, 50)
SOMEBODY = Origin("bacnet", "10.0.0.9", "anna")
HIGH_VOLTAGE = AlarmKey(match=("*.voltage_l?_n",), over=250, dropout=245, priority=150)


class Bench:
    def __init__(self, *points: PointDef, nominal: Nominal = NOMINAL, **rules: AlarmKey) -> None:
        self.clock = ManualClock()
        self.points = points or (V1, V2, V3, DOOR)
        self.device = device(self.points, [], nominal)
        self.store = PointStore(self.points, [self.device.definition])
        self.events = EventLog(self.clock)
        self.service = AlarmService(self.store, self.clock, self.events)
        self.changes: list[Alarm] = []
        self.service.subscribe(self.changes.append)
        self.use(AlarmsKey(preset=False, rules=rules))

    def use(self, key: AlarmsKey) -> None:
        self.rules = rules_of(key, [self.device.definition], self.points)
        self.service.redefine(self.rules.rules)

    def value(self, definition: PointDef, value: float | bool, quality: Quality = Quality.GOOD) -> None:
        self.clock.pass_s(1)
        self.store.publish([(definition.index, Sample(value, quality, self.clock.utc, 1))])

    def told(self) -> list[str]:
        return [event.text for event in self.events.events()]

    async def acknowledge(self, alarm: int) -> Outcome:
        return (await self.service.acknowledge(alarm, SOMEBODY, self.clock.monotonic + SECOND)).outcome


def test_an_alarm_is_active_then_historic_with_times_duration_and_extremes() -> None:
    #
    bench = Bench(over_voltage=HIGH_VOLTAGE)

    for value in (251.0, 260.0, 240.0):
        bench.value(V1, value)

    (alarm,) = bench.service.alarms()
    assert (alarm.start_ns, alarm.end_ns) == (NEW_YEAR + SECOND, NEW_YEAR + 3 * SECOND)
    assert (alarm.duration_ns, alarm.before, alarm.extreme) == (2 * SECOND, 251.0, 260.0)
    assert (alarm.name, alarm.priority, alarm.active, alarm.limit) == ("over_voltage", 150, False, 250)


def test_beginning_and_end_are_events_with_cause_and_value() -> None:
    #
    bench = Bench(over_voltage=HIGH_VOLTAGE)

    bench.value(V1, 251.0)
    bench.value(V1, 240.0)

    assert bench.told() == [
        "over_voltage began: m.voltage_l1_n 251 V over 250",
        "over_voltage ended after 1.0 s, furthest 251",
    ]
    assert [(e.kind, e.priority, e.index, e.sample.value) for e in bench.events.events()] == [
        (EventKind.ALARM_START, 150, V1.index, 251.0),
        (EventKind.ALARM_END, 150, V1.index, 240.0),
    ]


def test_three_phases_are_three_alarms() -> None:
    #
    bench = Bench(over_voltage=HIGH_VOLTAGE)

    for definition in (V1, V2, V3):
        bench.value(definition, 251.0)

    assert [alarm.index for alarm in bench.service.alarms()] == [1, 2, 3]


def test_together_three_phases_are_one_alarm_from_the_first_to_the_last() -> None:
    #
    bench = Bench(over_voltage=AlarmKey(match=("*.voltage_l?_n",), over=250, dropout=245, together=True))

    bench.value(V1, 251.0)
    bench.value(V2, 270.0)
    bench.value(V1, 240.0)
    before = [alarm.active for alarm in bench.service.alarms()]
    bench.value(V2, 240.0)

    (alarm,) = bench.service.alarms()
    assert (before, alarm.active, alarm.extreme, alarm.duration_ns) == ([True], False, 270.0, 3 * SECOND)


def test_percentages_are_of_the_nominal_value() -> None:
    # relative threshold
    bench = Bench(relative=AlarmKey(match=("*.voltage_l1_n",), over_percent=110, dropout=108))

    bench.value(V1, 252.9)
    bench.value(V1, 253.1)

    assert bench.told() == ["relative began: m.voltage_l1_n 253.1 V over 253"]


def test_a_percentage_without_a_nominal_value_is_told_as_useless() -> None:
    bench = Bench(nominal=Nominal(), relative=AlarmKey(match=("*.voltage_l1_n",), over_percent=110))

    assert (bench.rules.rules, bench.rules.useless) == (SYSTEM, ("relative m.voltage_l1_n",))


def test_a_state_is_an_alarm_with_its_text() -> None:
    # digital
    bench = Bench(door=AlarmKey(match=("*.tamper_alarm",), state=1, priority="high", label="case"))

    bench.value(DOOR, True)

    assert bench.told() == ["case began: m.tamper_alarm is Open"]


def test_a_pickup_delay_ends_without_a_new_reading() -> None:
    # evaluated once a second
    bench = Bench(slow=AlarmKey(match=("*.voltage_l1_n",), over=250, pickup_delay_s=3))
    bench.value(V1, 251.0)
    bench.clock.pass_s(2)
    bench.service.look()
    before = bench.told()
    bench.clock.pass_s(1)

    bench.service.look()

    assert (before, len(bench.told())) == ([], 1)


def test_a_lost_device_is_an_alarm_and_ends_none_of_its_others() -> None:
    bench = Bench()
    bench.use(AlarmsKey(rules={"over_voltage": HIGH_VOLTAGE}))
    bench.value(V1, 251.0)

    bench.service.device_lost("m", True)
    bench.value(V1, 251.0, Quality.COMM_LOST)
    bench.service.device_lost("m", True)

    assert [(a.name, a.active) for a in bench.service.alarms()] == [
        ("over_voltage", True),
        ("communication_loss", True),
    ]
    bench.service.device_lost("m", False)
    assert [alarm.active for alarm in bench.service.alarms()] == [True, False]


def test_info_only_is_an_event_and_no_alarm_and_none_is_neither() -> None:
    # A-03 A-08
    info = AlarmKey(match=("*.voltage_l1_n",), over=250, priority="info")
    none = AlarmKey(match=("*.voltage_l2_n",), over=250, priority="none")
    bench = Bench(info=info, none=none)

    bench.value(V1, 251.0)
    bench.value(V2, 251.0)
    bench.value(V2, 230.0)

    assert (bench.service.alarms(), len(bench.told())) == ([], 1)


async def test_an_acknowledgement_notes_who_and_when_and_the_first_stays() -> None:
    #
    bench = Bench(over_voltage=HIGH_VOLTAGE)
    bench.value(V1, 251.0)
    (alarm,) = bench.service.alarms()
    bench.clock.pass_s(5)

    outcome = await bench.acknowledge(alarm.id)
    again = await bench.service.acknowledge(alarm.id, Origin("web", "", "ben"), bench.clock.monotonic + 1)

    (now,) = bench.service.alarms()
    assert (outcome, again.outcome) == (Outcome.DONE, Outcome.DONE)
    assert (now.acknowledged_by, now.acknowledged_ns) == ("anna", bench.clock.utc)
    last = bench.events.events()[-1]
    assert (last.kind, last.user, last.text) == (
        EventKind.ACKNOWLEDGE,
        "anna",
        "over_voltage acknowledged through bacnet",
    )


async def test_an_acknowledged_alarm_can_be_confirmed_and_the_first_stays() -> None:
    bench = Bench(over_voltage=HIGH_VOLTAGE)
    bench.value(V1, 251.0)
    (alarm,) = bench.service.alarms()
    deadline_ns = bench.clock.monotonic + SECOND
    early = await bench.service.confirm(alarm.id, SOMEBODY, deadline_ns)
    unseen = bench.service.alarms()[0]
    await bench.acknowledge(alarm.id)
    outcome = await bench.service.confirm(alarm.id, SOMEBODY, deadline_ns)
    again = await bench.service.confirm(alarm.id, Origin("web", "", "ben"), deadline_ns)

    (now,) = bench.service.alarms()
    assert (early.outcome, unseen.confirmed) == (Outcome.OUT_OF_RANGE, False)
    assert (outcome.outcome, again.outcome) == (Outcome.DONE, Outcome.DONE)
    assert (now.confirmed, now.confirmed_by) == (True, "anna")
    assert bench.events.events()[-1].text == "over_voltage confirmed through bacnet"


async def test_an_alarm_that_is_not_kept_or_a_late_request_acknowledges_nothing() -> None:
    bench = Bench(over_voltage=HIGH_VOLTAGE)
    bench.value(V1, 251.0)
    late = await bench.service.acknowledge(1, SOMEBODY, bench.clock.monotonic)

    assert (await bench.acknowledge(99), late.outcome) == (Outcome.OUT_OF_RANGE, Outcome.TIMED_OUT)
    assert not bench.service.alarms()[0].acknowledged


async def test_a_historic_alarm_can_be_acknowledged_too() -> None:
    bench = Bench(over_voltage=HIGH_VOLTAGE)
    bench.value(V1, 251.0)
    bench.value(V1, 240.0)

    assert await bench.acknowledge(bench.service.alarms()[0].id) is Outcome.DONE
    assert bench.service.alarms()[0].acknowledged


def test_alarms_are_switched_off_for_maintenance_and_on_again() -> None:
    #
    bench = Bench(over_voltage=HIGH_VOLTAGE)
    bench.value(V1, 251.0)

    assert bench.service.switch("over_voltage", False, "anna")
    bench.value(V1, 252.0)
    while_off = [alarm.active for alarm in bench.service.alarms()]
    assert bench.service.switch("over_voltage", True, "anna")

    assert (while_off, [alarm.active for alarm in bench.service.alarms()]) == ([False], [False, True])
    assert not bench.service.switch("other", True, "anna")


def test_a_reload_keeps_an_active_alarm_that_means_the_same_and_ends_one_that_is_gone() -> None:
    bench = Bench(over_voltage=HIGH_VOLTAGE)
    bench.value(V1, 251.0)

    bench.use(AlarmsKey(preset=False, rules={"over_voltage": HIGH_VOLTAGE}))
    kept = [alarm.active for alarm in bench.service.alarms()]
    bench.use(AlarmsKey(preset=False))

    assert (kept, [alarm.active for alarm in bench.service.alarms()]) == ([True], [False])


def test_an_active_alarm_outlives_a_restart_and_ends_once() -> None:
    bench = Bench(over_voltage=HIGH_VOLTAGE)
    bench.value(V1, 251.0)
    again = Bench(over_voltage=HIGH_VOLTAGE)
    again.events.restore(bench.events.events())

    again.service.restore(bench.service.alarms())
    again.value(V1, 251.0)
    still = len(again.service.alarms())
    again.value(V1, 240.0)

    (alarm,) = again.service.alarms()
    assert (still, alarm.active, again.told()[-1][:18]) == (1, False, "over_voltage ended")


def test_the_presets_are_those_of_the_ion_list_and_of_the_submeter_list() -> None:
    # A-09 E-17
    on = enabled(AlarmsKey())

    assert {
        "over_thd_voltage",
        "over_frequency",
        "under_frequency",
        "voltage_interruption",
        "digital_input",
    } <= on.keys()
    assert not {"over_voltage", "over_current", "over_demand", "over_voltage_unbalance"} & on.keys()
    assert "over_current" in enabled(AlarmsKey(enable=("over_current",)))
    assert "tamper" not in enabled(AlarmsKey(disable=("tamper",)))
    assert enabled(AlarmsKey(preset=False)) == {}


def test_the_bands_are_those_of_the_ion7400() -> None:
    #
    assert [band_of(p).name for p in (0, 1, 63, 64, 127, 128, 191, 192, 255)] == [
        *("NONE", "INFO", "INFO", "LOW", "LOW", "MEDIUM", "MEDIUM", "HIGH", "HIGH")
    ]
    assert [band_of(priority_of(word)).name for word in ("none", "info", "low", "medium", "high")] == [
        *("NONE", "INFO", "LOW", "MEDIUM", "HIGH")
    ]


def alarm(id_: int, priority: int, ended: bool = False, seen: bool = False) -> Alarm:
    return Alarm(id_, "a", "a", "m", 1, priority, 1, end_ns=int(ended), acknowledged_ns=int(seen))


@pytest.mark.parametrize(
    ("alarms", "expected"),
    [
        ([], Summary(Band.NONE, False, True, False)),
        ([alarm(1, 70), alarm(2, 150)], Summary(Band.MEDIUM, True, False, False)),
        ([alarm(1, 70), alarm(2, 200, ended=True)], Summary(Band.LOW, True, False, False)),
        ([alarm(1, 200)], Summary(Band.HIGH, True, False, True)),
        ([alarm(1, 200, seen=True)], Summary(Band.HIGH, True, True, False)),
        ([alarm(1, 150, ended=True)], Summary(Band.MEDIUM, False, False, False)),
        ([alarm(1, 100, ended=True)], Summary(Band.NONE, False, True, False)),
        ([alarm(1, 150, ended=True, seen=True)], Summary(Band.NONE, False, True, False)),
    ],
)
def test_one_lamp_shows_the_highest_active_alarm_or_the_highest_unseen_one(
    alarms: list[Alarm], expected: Summary
) -> None:
    #
    assert summary_of(alarms) == expected


def test_of_historic_alarms_the_last_thousand_are_kept_and_no_active_one_goes() -> None:
    kept = AlarmList(historic=3)
    for n in range(1, 8):
        kept.begin(alarm(n, 100))
    for n in range(2, 8):
        kept.end(n, 10, 5, None, None)

    assert [a.id for a in kept.all()] == [1, 5, 6, 7]


def test_what_is_watched_at_a_point_is_said_to_those_who_show_it() -> None:
    low = AlarmKey(match=("*.voltage_l1_n",), under=207, dropout=210, pickup_delay_s=5, priority=200)
    higher = AlarmKey(match=("m.voltage_l1_n",), over=260, priority=10)
    bench = Bench(over_voltage=HIGH_VOLTAGE, low=low, higher=higher, door=AlarmKey(match=("*.tamper_alarm",), state=1))

    found = watched_points(bench.rules.rules)

    assert found[V1.index] == Watched(200, 250, 207, 5)
    assert found[V2.index] == Watched(150, 250, None, 5)
    assert found[DOOR.index] == Watched(160, states=(1,))


def test_a_device_on_a_line_has_an_alarm_for_its_silence() -> None:
    bench = Bench()
    rules = rules_of(AlarmsKey(), [bench.device.definition], bench.points).rules

    assert silent_devices(rules) == {bench.device.definition.id: 160}


@pytest.mark.parametrize(("pattern", "found"), [("*.voltage_l?_n", 3), ("m*.voltage_l1_n", 1), ("*", 4), ("*.l1", 0)])
def test_patterns_find_points_with_the_device_open_and_without(pattern: str, found: int) -> None:
    bench = Bench(one=AlarmKey(match=(pattern,), over=1))

    assert sum(len(rule.points) for rule in bench.rules.rules) == found
