"""dnp3.yaml -> plan: which points, under which numbers, in which class; and what is refused."""

from pathlib import Path

import msgspec
import pytest

from bridge.config.ledger import Block, Ledger, Space
from bridge.config.model import ProjectionFile
from bridge.config.projection import at_path
from bridge.config.yaml_marks import read
from bridge.core.errors import ProjectionError
from bridge.core.point import Kind, PointDef, Role
from bridge.core.ports import Grant, SiteFacts
from bridge.projections.dnp3.mapping import Mapping, project
from bridge.projections.dnp3.objects import PointType
from bridge.projections.dnp3.plan import Permit, Plan, Shown
from tests.support.dnp3_site import mapping, projected
from tests.support.modbus_site import device, site

FACTS = site(2)


def plan_of(facts: SiteFacts = FACTS, /, **more: object) -> Plan:
    plan = projected(facts, 20000, **more).plan
    assert isinstance(plan, Plan)
    return plan


def places(plan: Plan, name: str, facts: SiteFacts = FACTS) -> list[Shown]:
    index = next(d.index for d in facts.points if d.id == name)
    return [place for place in plan.points if place.index == index]


def one(kind: Kind, **more: object) -> SiteFacts:
    definition = PointDef(0, "m1.p", kind)
    return SiteFacts("x", [msgspec.structs.replace(definition, **more)], [device(1)])


# D-02, D-03
def test_without_any_key_every_point_is_shown_in_its_natural_type() -> None:
    plan = plan_of()

    shown = {d.name: [place.type for place in places(plan, d.id)] for d in FACTS.points}
    analog = PointType.ANALOG_INPUT
    assert shown["active_energy_import"] == [PointType.COUNTER, analog]
    assert shown["voltage_l1"] == [analog]
    assert shown["phase_loss_l1"] == [PointType.BINARY_INPUT]
    assert shown["energy_direction"] == [analog]
    assert shown["reset_demand_peak"] == [PointType.BINARY_OUTPUT]
    assert shown["overload_threshold"] == [PointType.ANALOG_OUTPUT]
    assert shown["serial_number"] == [PointType.OCTET_STRING]
    assert shown["demand_peak_timestamp"] == [analog]
    assert [(m.address, m.outstation) for m in plan.masters] == [(1, 10), (2, 10), (3, 10)]


def test_classes_and_variations_follow_the_kind() -> None:
    plan = plan_of()

    energy, companion = places(plan, "m1.active_energy_import")
    assert (energy.event_class, companion.event_class) == (3, 0)
    assert (companion.static_variation, companion.event_variation) == (6, 8)
    assert [places(plan, f"m1.{n}")[0].event_class for n in ("phase_loss_l1", "voltage_l1", "serial_number")] == [
        1,
        2,
        0,
    ]
    direction = places(plan, "m1.energy_direction")[0]
    assert (direction.static_variation, direction.event_variation) == (1, 3)


def test_a_rule_and_an_override_choose_class_variation_deadband_and_type() -> None:
    plan = plan_of(
        rules=[
            {"match": "*.voltage_*", "class": 1, "static_variation": 6, "event_variation": 8, "deadband": 2.5},
            {"match": "m2.*", "skip": True},
        ],
        overrides={
            "m1.voltage_l2": {"class": 3, "index": 500},
            "m1.energy_direction": {"as": "double_bit"},
            "m1.active_energy_import": {"deadband": 0.5, "companion": "none", "frozen_class": 2},
        },
    )

    first, second = places(plan, "m1.voltage_l1")[0], places(plan, "m1.voltage_l2")[0]
    assert (first.event_class, first.static_variation, first.event_variation, first.deadband) == (1, 6, 8, 2.5)
    assert (second.event_class, second.static_variation, second.number) == (3, 6, 500)
    assert places(plan, "m1.energy_direction")[0].type is PointType.DOUBLE_BIT
    (energy,) = places(plan, "m1.active_energy_import")
    # 0.5 kWh are 50 counts of 10 Wh
    assert (energy.deadband, energy.frozen_class) == (50.0, 2)


def test_a_skipped_meter_is_not_there_and_not_asked_for() -> None:
    made = projected(FACTS, 20000, rules=[{"match": "m2.*", "skip": True}])

    assert all(FACTS.points[index].device == "m1" for index in made.needs.points)


def test_numbers_stay_when_points_come_and_go() -> None:
    ledger = Ledger()
    before = project(mapping(), FACTS, ledger).plan
    ledger.finish(["dnp3"])
    fewer = SiteFacts("tower", [d for d in FACTS.points if d.name != "voltage_l1"], FACTS.devices)
    later = Ledger(ledger.spaces())
    project(mapping(), fewer, later)
    later.finish(["dnp3"])
    again = project(mapping(), FACTS, Ledger(later.spaces())).plan

    assert isinstance(before, Plan)
    assert isinstance(again, Plan)
    assert before.points == again.points


def test_doubles_of_energies_stand_behind_the_other_analogs() -> None:
    analogs = [p for p in plan_of().points if p.type is PointType.ANALOG_INPUT]
    kinds = {d.index: d.kind for d in FACTS.points}

    companions = [p.number for p in analogs if kinds[p.index] is Kind.ACCUMULATOR]
    others = [p.number for p in analogs if kinds[p.index] is not Kind.ACCUMULATOR]
    assert min(companions) > max(others)


# BARS S1, S2
def test_commands_are_asked_for_only_where_a_master_may_control_and_a_point_may_be_written() -> None:
    control = [{"address": 1, "allow": ["control"]}]

    assert projected(FACTS).needs.grants is Grant.NOTHING
    assert projected(FACTS, access="read-write").needs.grants is Grant.NOTHING
    assert projected(FACTS, masters=control).needs.grants is Grant.NOTHING
    assert projected(FACTS, masters=control, access="read-write").needs.grants is Grant.COMMANDS


def test_a_mid_point_is_never_writable() -> None:
    facts = one(Kind.ANALOG, role=Role.SETTING, writable=True, mid=True)
    plan = plan_of(facts, access="read-write", masters=[{"allow": ["control"]}])

    assert [(p.type, p.writable) for p in plan.points] == [(PointType.ANALOG_INPUT, False)]


def test_the_ready_file_can_tell_the_link_addresses() -> None:
    made = projected(FACTS, 20000, masters=[{"address": 7, "outstation": 70}])

    assert made.facts == {"outstation": 70, "master": 7}


@pytest.mark.parametrize(
    ("keys", "path", "message"),
    [
        ({"overrides": {"m9.x": {}}}, ("overrides", "m9.x"), "point of the site"),
        (
            {"overrides": {"m1.voltage_l1": {"as": "counter"}}},
            ("overrides", "m1.voltage_l1", "as"),
            "analog_input, analog_output",
        ),
        (
            {"rules": [{"match": "m1.voltage_l1", "static_variation": 9}]},
            ("rules", 0, "static_variation"),
            r"group 30 \(1, 2, 3, 4, 5, 6\)",
        ),
        (
            {"overrides": {"m1.demand_interval": {"as": "double_bit"}}},
            ("overrides", "m1.demand_interval", "as"),
            "codes 0 to 3",
        ),
        (
            {"overrides": {"m1.voltage_l1": {"index": 3}, "m1.voltage_l2": {"index": 3}}},
            ("overrides", "m1.voltage_l2", "index"),
            "belongs to m1.voltage_l1",
        ),
        ({"masters": [{"address": 10}]}, ("masters", 0, "outstation"), "another address"),
        ({"masters": [{}, {}]}, ("masters", 1, "address"), "other link addresses or networks"),
        (
            {"masters": [{"networks": ["10.0.0.0/8"]}, {"networks": ["10.1.0.0/16"]}]},
            ("masters", 1, "address"),
            "other link addresses or networks",
        ),
        ({"masters": [{"networks": ["somewhere"]}]}, ("masters", 0, "networks"), "expected a network"),
        ({"masters": [{"keepalive_s": 60}]}, ("masters", 0, "keepalive_s"), "less than listener.idle_s, 60 s"),
        (
            {"masters": [{"allow": ["time"]}, {"address": 2, "allow": ["time"]}]},
            ("masters", 1, "allow"),
            "one master that sets the time",
        ),
        (
            {"masters": [{"serial": {"port": "/dev/ttyS0"}}, {"address": 2, "serial": {"port": "/dev/ttyS0"}}]},
            ("masters", 1, "serial"),
            "a serial port of its own",
        ),
    ],
)
def test_what_cannot_be_served_is_refused_with_its_place(
    keys: dict[str, object], path: tuple[str | int, ...], message: str
) -> None:
    with pytest.raises(ProjectionError, match=message) as caught:
        projected(FACTS, 20000, **keys)

    assert caught.value.path == path


@pytest.mark.parametrize(
    "keys",
    [
        {"masters": []},
        {"masters": [{"address": 1}, {"address": 2}, {"address": 3}, {"address": 4}]},
        {"masters": [{"address": 0xFFF0}]},
        {"rules": [{"match": "*", "class": 4}]},
        {"masters": [{"allow": ["everything"]}]},
        {"masters": [{"serial": {"port": "/dev/ttyS0", "baud": 1234}}]},
        {"unknown": 1},
    ],
)
def test_what_is_no_dnp3_setting_is_refused(keys: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"listener": {"port": 1}, **keys}, Mapping)


def test_two_masters_with_the_same_addresses_may_come_from_different_networks() -> None:
    plan = plan_of(masters=[{"networks": ["10.0.0.0/8"]}, {"networks": ["192.0.2.1/32"]}])

    assert len(plan.masters) == 2


def test_event_buffers_are_large_enough_for_the_site_or_as_large_as_told() -> None:
    large = SiteFacts("x", [PointDef(i, f"m1.voltage_{i}", Kind.ANALOG) for i in range(800)], [device(1)])
    plan = plan_of(large, masters=[{}, {"address": 2, "event_capacity": [10, 20, 30]}])

    assert [m.event_capacity for m in plan.masters] == [(1000, 1600, 1000), (10, 20, 30)]


def test_a_serial_master_is_never_asked_for_its_link() -> None:
    plan = plan_of(masters=[{"serial": {"port": "/dev/ttyS0"}, "allow": ["freeze"]}])

    assert plan.masters[0].keepalive_s == 0
    assert plan.masters[0].permits == {Permit.FREEZE}
    assert plan.frozen
    assert not plan.on_tcp


def campus() -> SiteFacts:
    """1,000 meters of 70 analogs and an energy."""
    names = [("active_energy_import", Kind.ACCUMULATOR), *((f"voltage_{n}", Kind.ANALOG) for n in range(70))]
    points = [
        PointDef(meter * len(names) + at, f"m{meter}.{name}", kind)
        for meter in range(1000)
        for at, (name, kind) in enumerate(names)
    ]
    return SiteFacts("campus", points, [device(meter) for meter in range(1000)])


# BARS L5: what does not fit is refused, never left out in silence
def test_a_site_beyond_16_bits_of_index_is_refused_with_the_rules_that_make_it_fit() -> None:
    site, text = campus(), "listener: {port: 20000}\nrules:\n  - {match: '*.none', skip: true}\n"
    expected = (
        "expected at most 65,536 points of type analog_input, found 71,000; leave out at least 5,464, such as "
        '`companion: none` (1,000), `- {match: "*.voltage_69", skip: true}` (1,000), '
        '`- {match: "*.voltage_68", skip: true}` (1,000), `- {match: "*.voltage_67", skip: true}` (1,000) and more'
    )
    with pytest.raises(ProjectionError) as caught:
        projected(site)

    place = at_path(caught.value, ProjectionFile("dnp3", Path("dnp3.yaml"), read(text, "dnp3.yaml")))
    assert str(place) == f"dnp3.yaml:2:1: rules: {expected}"
    plan = plan_of(site, companion="none", rules=[{"match": f"*.voltage_6{n}", "skip": True} for n in range(5, 10)])
    assert len(plan.points) == 66_000
    # a thousand of them are counters
    assert max(p.number for p in plan.points) == 64_999


def test_a_ledger_that_has_given_all_indexes_away_is_told_of() -> None:
    ledger = Ledger({"dnp3.analog_input": Space(retired={"gone": Block(0, 65_536)})})

    with pytest.raises(ProjectionError, match=r"index up to 65,535 for m1\.voltage_l1, found 65536") as caught:
        project(mapping(), FACTS, ledger)

    assert caught.value.path[-1] == "index"
