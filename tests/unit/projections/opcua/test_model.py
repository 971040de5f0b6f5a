"""Points as nodes: types, units, texts, names; pure."""

import struct

import msgspec
import pytest

from bridge.core.point import Kind, PointDef, Role
from bridge.projections.opcua.model import ROOT, Model
from bridge.projections.opcua.nodes import HAS_NOTIFIER, EnumValues, Localized, LocalizedList, NodeClass, Range
from bridge.projections.opcua.plan import NAMESPACE
from bridge.projections.opcua.shape import companion_encoder_of, encoder_of, shape_of
from bridge.projections.opcua.units import NO_CODE, UNECE, EngineeringUnits, count_units, engineering_units
from tests.support.modbus_site import site

FACTS = site(2)


def model(*, writable: tuple[int, ...] = ()) -> Model:
    known = {d.index: d for d in FACTS.points}
    return Model(FACTS.points, FACTS.devices, known.__getitem__, writable)


def point(kind: Kind, **more: object) -> PointDef:
    return msgspec.structs.replace(PointDef(0, "m.p", kind), **more)


def test_every_child_names_its_parent_and_every_name_is_found_again() -> None:
    nodes = model()
    for identifier in nodes.identifiers():
        references = nodes.references(identifier)
        assert references is not None
        assert nodes.has(identifier)
        assert sum(not reference.forward and reference.type != HAS_NOTIFIER for reference in references) == 1
        for reference in references:
            if reference.forward and isinstance(reference.target.identifier, str):
                back = nodes.references(reference.target.identifier)
                assert back is not None
                [up] = [one for one in back if not one.forward and one.type == reference.type]
                assert (up.target.identifier, up.type) == (identifier, reference.type)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "m1.",
        "m1..",
        "m1.voltage_l1.",
        "m9",
        "m1.nothing",
        "m1.voltage_l1.nothing",
        "m1.voltage_l1.value",
        "m1.Nothing",
        "/meters",
    ],
)
def test_a_name_that_is_none_of_ours_is_no_node(name: str) -> None:
    assert not model().has(name)
    assert model().references(name) is None
    assert model().slot(name) is None


def test_slots_are_of_points_their_companions_and_the_nameplate() -> None:
    nodes = model()
    energy = nodes.index_of["m1.active_energy_import"]

    assert nodes.slot("m1.active_energy_import") == 2 * energy
    assert nodes.slot("m1.active_energy_import.value") == 2 * energy + 1
    assert nodes.slot("m1.SerialNumber") == nodes.slot("m1.serial_number")
    assert nodes.slot("m1.demand_interval.ValueAsText") == 2 * nodes.index_of["m1.demand_interval"] + 1
    assert nodes.slot("m1.active_energy_import.EngineeringUnits") is None
    assert nodes.slot(ROOT) is None


def test_a_command_has_a_method_that_only_its_mapping_makes_executable() -> None:
    index = model().index_of["m1.reset_demand_peak"]

    [closed, opened] = [model(writable=w).node("m1.reset_demand_peak.Execute") for w in ((), (index,))]

    assert closed is not None
    assert opened is not None
    assert (closed.head.node_class, closed.head.name) == (NodeClass.METHOD, "ResetDemandPeak")
    assert (closed.writable, opened.writable) == (False, True)
    # the command's own variable is never written: the method is the way
    variable = model(writable=(index,)).node("m1.reset_demand_peak")
    assert variable is not None
    assert not variable.writable


def test_state_texts_become_the_properties_of_their_type() -> None:
    nodes = model()
    values = {name: nodes.node(f"m1.{name}") for name in ("energy_direction.EnumStrings", "demand_interval.EnumValues")}

    assert [node.value for node in values.values() if node is not None] == [
        LocalizedList(("Import", "Export")),
        EnumValues(((5, "5"), (15, "15"))),
    ]
    true = nodes.node("m1.phase_loss_l1.TrueState")
    assert true is not None
    assert true.value == Localized("True")


def test_a_range_of_counts_is_the_modulus_and_of_the_double_its_value() -> None:
    definition = point(Kind.ACCUMULATOR, unit="kWh", resolution=-2, modulus=100_000)
    nodes = Model([definition], [msgspec.structs.replace(FACTS.devices[0], id="m")], lambda _: definition)
    counts, beside = nodes.node("m.p.EURange"), nodes.node("m.p.value.EURange")

    assert counts is not None
    assert beside is not None
    assert counts.value == Range(0.0, 99_999.0)
    assert isinstance(beside.value, Range)
    assert beside.value.high == pytest.approx(999.99)


@pytest.mark.parametrize(
    ("unit", "resolution", "expected"),
    [
        ("kWh", 0, EngineeringUnits(UNECE, 4_937_544, "kWh", "kWh")),
        # 0.001 kWh is a unit of its own
        ("kWh", -3, EngineeringUnits(UNECE, 5_720_146, "Wh", "Wh")),
        ("kWh", 3, EngineeringUnits(UNECE, 5_068_616, "MWh", "MWh")),
        ("kWh", -2, EngineeringUnits(NAMESPACE, NO_CODE, "0.01 kWh", "1 count = 0.01 kWh")),
        ("kWh", 1, EngineeringUnits(NAMESPACE, NO_CODE, "10 kWh", "1 count = 10 kWh")),
        ("kvarh", -3, EngineeringUnits(NAMESPACE, NO_CODE, "0.001 kvarh", "1 count = 0.001 kvarh")),
    ],
)
def test_the_unit_of_a_count_is_its_step(unit: str, resolution: int, expected: EngineeringUnits) -> None:
    assert count_units(unit, resolution, NAMESPACE) == expected


# codes of UNECE Recommendation 20 as OPC 10000-8 makes numbers of them
@pytest.mark.parametrize(
    ("unit", "code"),
    [("V", 5_655_636), ("A", 4_279_632), ("kW", 4_937_556), ("Hz", 4_740_186), ("%", 20_529), ("", 4_404_786)],
)
def test_units_have_their_codes(unit: str, code: int) -> None:
    assert engineering_units(unit, NAMESPACE).unit_id == code


@pytest.mark.parametrize(
    ("definition", "value", "encoded"),
    [
        (point(Kind.ANALOG), 1.5, "0b000000000000f83f"),
        (point(Kind.ACCUMULATOR), 2**53 + 1, "080100000000002000"),
        (point(Kind.ACCUMULATOR), 2**63, None),
        (point(Kind.BINARY), True, "0101"),
        (point(Kind.TEXT), "é", "0c02000000c3a9"),
        (point(Kind.TIME), 0, "0d00803ed5deb19d01"),
        (point(Kind.TIME), -(10**20), None),
        (point(Kind.MULTISTATE, states=((0, "a"), (1, "b"))), 1, "0701000000"),
        (point(Kind.MULTISTATE, states=((0, "a"), (1, "b"))), -1, None),
        (point(Kind.MULTISTATE, states=((5, "a"), (1, "b"))), -1, "06ffffffff"),
        (point(Kind.MULTISTATE, states=((2**40, "a"),)), 2**40, "080000000000010000"),
    ],
)
def test_a_value_is_encoded_in_its_type_or_not_at_all(definition: PointDef, value: int, encoded: str | None) -> None:
    found = encoder_of(definition)(value)

    assert (None if found is None else found.hex()) == encoded
    assert found is None or found[0] == shape_of(definition).variant


def test_the_double_beside_a_count_is_the_nearest_there_is() -> None:
    definition = point(Kind.ACCUMULATOR, unit="kWh", resolution=-2)
    for count in (0, 1, 13_107_201, 2**53 + 1, 10**17 + 7):
        found = companion_encoder_of(definition)(count)
        assert found is not None
        assert struct.unpack("<d", found[1:]) == (count / 100,)


def test_roles_decide_what_may_be_written() -> None:
    # S2: what bills is never writable, whatever the role
    settings = [d for d in FACTS.points if d.role is Role.SETTING]
    nodes = model(writable=tuple(d.index for d in settings))

    assert settings
    for definition in settings:
        node = nodes.node(definition.id)
        assert node is not None
        assert node.writable
