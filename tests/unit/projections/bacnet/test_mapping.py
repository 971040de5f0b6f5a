"""bridge.projections.bacnet.mapping: which object shows which point, under which number and name"""

import re
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import yaml

from bridge.config.ledger import Ledger
from bridge.core.errors import ProjectionError
from bridge.core.point import Kind, PointDef, Role
from bridge.core.ports import Grant, SiteFacts, Transport
from bridge.core.quantity import meaning_of
from bridge.projections.bacnet.mapping import Mapping, device_id_of, project
from bridge.projections.bacnet.plan import MAX_INSTANCE, ObjectType, Plan, Shape, unpack
from tests.support.bacnet_site import mapping, place_of, plan_of, projected, site
from tests.support.modbus_site import device

FACTS = site(2)


def one(name: str, kind: Kind, **more: object) -> tuple[Plan, Shape]:
    definition = PointDef(0, f"m1.{name}", kind, meaning=meaning_of(name))
    facts = SiteFacts("s", [msgspec.structs.replace(definition, **more)], [device(1)])
    plan = plan_of(facts)
    return plan, plan.shapes[0]


# B-01, B-03
@pytest.mark.parametrize(
    ("name", "kind", "role", "expected"),
    [
        ("active_energy_import", Kind.ACCUMULATOR, Role.MEASUREMENT, ObjectType.ACCUMULATOR),
        ("active_energy_net", Kind.ACCUMULATOR, Role.MEASUREMENT, ObjectType.LARGE_ANALOG_VALUE),
        ("active_power_total", Kind.ANALOG, Role.MEASUREMENT, ObjectType.ANALOG_INPUT),
        ("overload_threshold", Kind.ANALOG, Role.SETTING, ObjectType.ANALOG_OUTPUT),
        ("modbus_address", Kind.ANALOG, Role.SETTING, ObjectType.ANALOG_OUTPUT),
        ("phase_loss_l1", Kind.BINARY, Role.STATUS, ObjectType.BINARY_INPUT),
        ("reset_demand_peak", Kind.BINARY, Role.COMMAND, ObjectType.BINARY_OUTPUT),
        ("energy_direction", Kind.MULTISTATE, Role.STATUS, ObjectType.MULTI_STATE_VALUE),
        ("modbus_baudrate", Kind.MULTISTATE, Role.SETTING, ObjectType.MULTI_STATE_VALUE),
        ("reset_partial_energy", Kind.MULTISTATE, Role.COMMAND, ObjectType.MULTI_STATE_OUTPUT),
        ("demand_peak_timestamp", Kind.TIME, Role.MEASUREMENT, ObjectType.DATETIME_VALUE),
        ("serial_number", Kind.TEXT, Role.IDENTITY, ObjectType.CHARACTERSTRING_VALUE),
    ],
)
def test_the_object_type_follows_from_kind_role_and_meaning(
    name: str, kind: Kind, role: Role, expected: ObjectType
) -> None:
    _, shape = one(name, kind, role=role, states=((0, "a"), (1, "b")) if kind is Kind.MULTISTATE else ())

    assert shape.object_type is expected


# B-02
def test_states_are_counted_from_one_in_the_order_of_the_meter() -> None:
    _, shape = one("energy_direction", Kind.MULTISTATE, states=((0, "Import"), (1, "Export")))

    assert (shape.texts, shape.codes) == (("Import", "Export"), (0, 1))


@pytest.mark.parametrize(
    ("name", "unit", "expected"),
    [
        ("active_power_total", "kW", 48),
        ("apparent_power_total", "kVA", 9),
        ("reactive_power_total", "kvar", 12),
        ("current_l1", "A", 3),
        ("voltage_l1_n", "V", 5),
        ("frequency", "Hz", 27),
        ("power_factor_total", "", 15),
        ("thd_voltage_l1", "%", 98),
        ("pulse_constant", "Wh/pulse", 95),
    ],
)
def test_the_unit_is_the_one_of_the_standard(name: str, unit: str, expected: int) -> None:
    _, shape = one(name, Kind.ANALOG, unit=unit)

    assert shape.units == expected


@pytest.mark.parametrize(("unit", "expected"), [("kWh", 19), ("MWh", 146), ("kVAh", 240), ("kvarh", 243)])
def test_an_energy_has_its_scale_its_unit_and_where_it_starts_again(unit: str, expected: int) -> None:
    _, shape = one("active_energy_import", Kind.ACCUMULATOR, unit=unit, resolution=-2, modulus=10**8)

    assert (shape.units, shape.resolution, shape.maximum) == (expected, -2, 10**8 - 1)


@pytest.mark.parametrize("modulus", [0, 2**32, 10**12])
def test_an_energy_of_more_than_four_octets_starts_again_at_two_to_the_32(modulus: int) -> None:
    _, shape = one("active_energy_import", Kind.ACCUMULATOR, unit="kWh", resolution=-2, modulus=modulus)

    assert shape.maximum == 2**32 - 1


def test_every_point_is_shown_under_its_own_name_without_a_rule() -> None:
    made = projected(FACTS)
    plan = made.plan
    assert isinstance(plan, Plan)

    assert made.needs.points == {point.index for point in FACTS.points}
    assert made.needs.grants is Grant.ALARMS
    assert (made.transport, made.facts["device_id"]) == (Transport.UDP, 1001)
    assert plan.names == {}
    assert len(set(unpack(plan.object_ids))) == len(FACTS.points)


def test_rules_and_overrides_decide_in_their_order() -> None:
    plan = plan_of(
        FACTS,
        rules=[{"match": "*.voltage_*", "increment": 2.5}, {"match": "m2.*", "skip": True}],
        overrides={
            "m1.voltage_l1": {"instance": 700, "name": "Riser voltage", "description": "Riser", "increment": 1},
            "m2.overload_alarm": {"skip": False},
            "m1.active_energy_import": {"type": "large-analog-value"},
        },
    )
    increments = {plan.shapes[n].increment for n in unpack(plan.shape_of)}

    assert place_of(plan, FACTS, "m1.voltage_l1") == (0, 700)
    assert place_of(plan, FACTS, "m1.active_energy_import")[0] == ObjectType.LARGE_ANALOG_VALUE
    assert place_of(plan, FACTS, "m2.overload_alarm")[0] == ObjectType.BINARY_INPUT
    assert list(plan.names.values()) == ["Riser voltage"]
    assert {1.0, 2.5} <= increments
    assert sum(view.count for view in plan.views if view.device == "m2") == 1 + 4


def revision(ledger: Ledger, facts: SiteFacts, **more: object) -> int:
    plan = project(mapping(0, **more), facts, ledger).plan
    ledger.finish(["bacnet"])
    assert isinstance(plan, Plan)
    return plan.identity.revision


def test_database_revision_moves_when_the_object_list_does_and_only_then() -> None:
    ledger = Ledger()
    first = revision(ledger, FACTS)

    same = revision(Ledger(ledger.spaces()), FACTS)
    fewer_ledger = Ledger(ledger.spaces())
    fewer = revision(fewer_ledger, replace(FACTS, points=FACTS.points[1:]))
    named = revision(Ledger(fewer_ledger.spaces()), FACTS, overrides={"m1.voltage_l1": {"name": "U"}})

    assert first == same
    assert first < fewer < named


def test_no_edit_of_the_site_moves_a_number() -> None:
    ledger = Ledger()
    project(mapping(0), FACTS, ledger)
    ledger.finish(["bacnet"])
    before = plan_of(FACTS)
    moved = SiteFacts(FACTS.name, [p for p in reversed(FACTS.points) if p.name != "voltage_l1"], FACTS.devices)

    plan = project(mapping(0), moved, Ledger(ledger.spaces())).plan
    assert isinstance(plan, Plan)

    assert {p.id: place_of(plan, moved, p.id) for p in moved.points} == {
        p.id: place_of(before, FACTS, p.id) for p in moved.points
    }


# B-05
def test_the_device_id_is_the_users_or_one_that_a_site_always_gets() -> None:
    chosen = projected(FACTS, 0, device_id=MAX_INSTANCE).facts["device_id"]
    made = project(msgspec.convert({"listener": {"port": 0}}, type(mapping())), FACTS, Ledger()).facts["device_id"]

    assert chosen == MAX_INSTANCE
    assert made == device_id_of("tower")
    assert len({device_id_of(f"site {n}") for n in range(1000)}) == 1000
    assert all(1 <= device_id_of(f"site {n}") <= MAX_INSTANCE for n in range(1000))
    with pytest.raises(msgspec.ValidationError):
        mapping(0, device_id=MAX_INSTANCE + 1)


# B-06
def test_the_name_of_the_device_has_at_most_49_characters() -> None:
    long = replace(FACTS, name="t" * 60)

    assert len(plan_of(long).identity.name) <= 49
    with pytest.raises(msgspec.ValidationError):
        mapping(0, name="n" * 50)


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"overrides": {"m1.nothing": {}}}, "overrides.m1.nothing"),
        ({"overrides": {"m1.voltage_l1": {"type": "accumulator"}}}, "overrides.m1.voltage_l1.type"),
        ({"rules": [{"match": "*", "type": "binary-input"}]}, "rules"),
        (
            {"overrides": {"m1.voltage_l1": {"instance": 5}, "m1.voltage_l2": {"instance": 5}}},
            "overrides.m1.voltage_l2.instance",
        ),
        ({"overrides": {"m1.voltage_l1": {"name": "m1.voltage_l2"}}}, "overrides.m1.voltage_l2.name"),
        ({"views": {"nowhere": 3}}, "views.nowhere"),
        ({"alarms": {"recipients": [{"address": "300.0.0.1:5"}]}}, "alarms.recipients.0.address"),
        ({"listener": {"port": 0, "bind": "10.0.0.300"}}, "listener.bind"),
        ({"listener": {"port": 0, "bind": "::1"}}, "listener.bind"),
        ({"network": {"mode": "foreign"}}, "network.bbmd"),
        ({"network": {"mode": "foreign", "bbmd": "999.0.0.1"}}, "network.bbmd"),
        ({"network": {"mode": "bbmd", "peers": ["300.1.1.1:47808"]}}, "network.peers.0"),
        ({"layout": "device-per-meter", "network": {"number": 5, "virtual_number": 5}}, "network"),
    ],
)
def test_a_mistake_is_named_with_its_place(more: dict[str, object], path: str) -> None:
    with pytest.raises(ProjectionError) as caught:
        plan_of(FACTS, **more)

    assert ".".join(map(str, caught.value.path)) == path


@pytest.mark.parametrize(
    ("listener", "network", "expected"),
    [
        ({"bind": "192.168.4.7"}, {}, "192.168.4.255"),
        ({"bind": "192.168.4.7"}, {"prefix": 22}, "192.168.7.255"),
        ({"bind": "0.0.0.0"}, {}, "255.255.255.255"),
        ({"bind": "127.0.0.1"}, {}, ""),
        ({"bind": "192.168.4.7"}, {"mode": "foreign", "bbmd": "10.0.0.1"}, ""),
    ],
)
def test_broadcasts_go_to_the_subnet_of_the_listener(
    listener: dict[str, object], network: dict[str, object], expected: str
) -> None:
    plan = plan_of(FACTS, listener={"port": 47808, **listener}, network=network)

    assert plan.network.broadcast == expected


def test_virtual_devices_have_numbers_and_addresses_of_their_own_that_stay() -> None:
    more = {"layout": "device-per-meter", "network": {"number": 1, "virtual_number": 2}, "views": {"m2": 70}}
    plan = plan_of(FACTS, **more)

    assert {view.device: view.instance for view in plan.views} == {"m1": 1002, "m2": 70}
    assert len({view.mac for view in plan.views} | {1}) == 3
    with pytest.raises(ProjectionError, match="of its own"):
        plan_of(FACTS, **{**more, "views": {"m2": 1001}})


def test_nothing_is_writable_unless_the_mapping_the_meter_and_the_law_let_it() -> None:
    closed, opened = projected(FACTS), projected(FACTS, 0, writable=True)
    assert isinstance(opened.plan, Plan)
    writable = {
        opened.plan.shapes[n].description for n in unpack(opened.plan.shape_of) if opened.plan.shapes[n].writable
    }

    assert closed.needs.grants is Grant.ALARMS
    assert opened.needs.grants is Grant.ALARMS | Grant.COMMANDS
    assert writable == {"reset_demand_peak", "overload_threshold", "demand_interval"}


def examples() -> list[str]:
    """The pieces of bacnet.yaml that the protocol page shows; lines that begin with `network:` are three choices."""
    page = (Path(__file__).parents[4] / "docs" / "protocols" / "bacnet.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    split = [block.splitlines() if block.count("network:") > 1 else [block] for block in blocks]
    return [piece for pieces in split for piece in pieces]


@pytest.mark.parametrize("example", examples())
def test_the_examples_of_the_protocol_page_are_read(example: str) -> None:
    data = {"listener": {"port": 47808}, **yaml.safe_load(example)}

    made = msgspec.convert(data, Mapping)

    assert all(getattr(made, key) is not None for key in data)
