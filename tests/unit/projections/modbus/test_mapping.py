"""bridge.projections.modbus.mapping: which register shows which point"""

import msgspec
import pytest

from bridge.config.ledger import Ledger
from bridge.core.errors import ProjectionError
from bridge.core.point import PointDef
from bridge.core.ports import Grant, SiteFacts
from bridge.projections.modbus.formats import Format
from bridge.projections.modbus.mapping import project
from bridge.projections.modbus.plan import ADDRESSES, SITE_UNIT, Bad, Block, Item, Plan
from tests.support.modbus_site import ANALOGS, mapping, projected, site


def plan_of(facts: SiteFacts, numbers: Ledger | None = None, /, **keys: object) -> Plan:
    made = project(mapping(**keys), facts, numbers or Ledger())
    assert isinstance(made.plan, Plan)
    return made.plan


def reloaded(numbers: Ledger) -> Ledger:
    """Return the ledger as the next load of the configuration finds it."""
    numbers.finish({"modbus"})
    return Ledger(numbers.spaces())


def item(plan: Plan, facts: SiteFacts, point_id: str, block: int = 0) -> Item:
    index = next(p.index for p in facts.points if p.id == point_id)
    return next(i for i in plan.blocks[block].items if i.index == index)


def addresses(plan: Plan, facts: SiteFacts) -> dict[tuple[str, Format], tuple[int, int]]:
    ids = {p.index: p.id for p in facts.points}
    return {
        (ids[i.index], f.format): (b.places[0].unit, b.places[0].registers + f.address)
        for b in plan.blocks
        for i in b.items
        for f in i.fields
    }


def test_a_meter_starts_at_0_of_its_own_unit_id_and_behind_the_others_in_unit_255() -> None:
    plan = plan_of(site(3))

    assert [[(p.unit, p.registers, p.inputs, p.coils) for p in b.places] for b in plan.blocks] == [
        [(1, 0, 0, 0), (SITE_UNIT, 0, 0, 0)],
        [(2, 0, 0, 0), (SITE_UNIT, 500, 256, 64)],
        [(3, 0, 0, 0), (SITE_UNIT, 1000, 512, 128)],
    ]


def test_an_energy_has_int64_float64_and_float32_one_after_the_other() -> None:
    facts = site(1)

    energy = item(plan_of(facts), facts, "m1.active_energy_import")

    assert [(f.address, f.format, f.registers, f.times, f.over) for f in energy.fields] == [
        (0, Format.INT64, 4, 1, 1),
        (4, Format.FLOAT64, 4, 1, 100),
        (8, Format.FLOAT32, 2, 1, 100),
    ]


def test_areas_of_a_block_do_not_meet() -> None:
    plan = plan_of(site(2))

    for block in plan.blocks:
        assert owned(block) <= set(range(block.registers))
        assert len(owned(block)) == sum(f.registers for i in block.items for f in i.fields) + 5 * len(block.items)


def owned(block: Block) -> set[int]:
    found = {a for i in block.items for f in i.fields for a in range(f.address, f.address + f.registers)}
    return found | {i.quality for i in block.items} | {i.time + n for i in block.items for n in range(4)}


def test_no_edit_of_the_site_moves_a_register() -> None:
    numbers, before = Ledger(), site(3)
    first = addresses(plan_of(before, numbers), before)
    # the middle meter goes, a point comes in front of all others
    points = [p for p in before.points if p.device != "m2"]
    points.insert(0, PointDef(900, "m1.new_at_the_top", points[0].kind, unit="kWh"))
    after = SiteFacts("tower", points, [d for d in before.devices if d.id != "m2"])

    numbers = reloaded(numbers)
    second = addresses(plan_of(after, numbers), after)
    restored = addresses(plan_of(before, reloaded(numbers)), before)

    assert {key: second[key] for key in first if key in second} == {k: v for k, v in first.items() if k in second}
    assert restored == first


def test_a_block_keeps_its_size_when_its_meter_grows_into_it() -> None:
    numbers = Ledger()
    small, grown = site(2), site(2, (*ANALOGS, "frequency", "phase_angle_l1"))

    assert [b.registers for b in plan_of(small, numbers).blocks] == [
        b.registers for b in plan_of(grown, numbers).blocks
    ]


def test_a_renamed_meter_keeps_its_registers() -> None:
    numbers, before = Ledger(), site(2)
    first = addresses(plan_of(before, numbers), before)
    points = [msgspec.structs.replace(p, id=p.id.replace("m2.", "attic.")) for p in before.points]
    devices = [msgspec.structs.replace(d, id=d.id.replace("m2", "attic")) for d in before.devices]
    numbers = reloaded(numbers)
    numbers.rename({"m2": "attic"})
    after = SiteFacts("tower", points, devices)

    second = addresses(plan_of(after, numbers), after)

    assert second == {(key[0].replace("m2.", "attic."), key[1]): at for key, at in first.items()}


def test_a_meter_that_outgrows_its_block_is_an_error_that_names_the_point() -> None:
    numbers, many = Ledger(), site(1, [f"voltage_{n}" for n in range(60)])
    plan_of(site(1), numbers)

    with pytest.raises(ProjectionError, match=r"blocks\.m1: m1\..* needs .*: expected at most 50"):
        plan_of(many, numbers)


def test_one_hundred_meters_of_eighty_points_have_their_unit_ids() -> None:
    plan = plan_of(site(100, [f"voltage_{n}" for n in range(69)]))

    assert [b.places[0].unit for b in plan.blocks] == list(range(1, 101))
    assert all(p.registers + b.registers <= ADDRESSES for b in plan.blocks for p in b.places)


def test_a_thousand_meters_share_unit_ids() -> None:
    plan = plan_of(site(1000, ()), meters_per_unit=5)

    assert [(b.places[0].unit, b.places[0].registers) for b in plan.blocks[:6]] == [
        (1, 0),
        (1, 5_000),
        (1, 10_000),
        (1, 15_000),
        (1, 20_000),
        (2, 0),
    ]
    assert plan.blocks[-1].places[0].unit == 200


def test_the_248th_meter_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ProjectionError, match="meters_per_unit: m248 gets unit id 248: expected at most 247"):
        plan_of(site(248, ()))


# G-11
def test_out_of_the_box_nothing_is_writable_and_no_command_is_asked_for() -> None:
    made = projected(site(2))

    assert isinstance(made.plan, Plan)
    assert made.needs.grants is Grant.NOTHING
    assert not any(i.writable for b in made.plan.blocks for i in b.items)


# G-11, S2
def test_read_write_opens_what_the_meter_lets_be_written_and_never_what_it_bills_by() -> None:
    facts = site(1)
    billed = [msgspec.structs.replace(p, writable=True) if p.mid else p for p in facts.points]
    made = projected(SiteFacts("t", billed, facts.devices), access="read-write")

    assert isinstance(made.plan, Plan)
    ids = {p.index: p.name for p in facts.points}
    writable = {ids[i.index] for b in made.plan.blocks for i in b.items if i.writable}
    assert made.needs.grants is Grant.COMMANDS
    assert writable == {"reset_demand_peak", "overload_threshold", "demand_interval"}


def test_the_first_rule_that_matches_decides_and_an_override_comes_before_it() -> None:
    facts = site(1)
    plan = plan_of(
        facts,
        rules=[
            {"match": "*.voltage_*", "formats": ["int32"], "scale": 0.01, "bad": "exception"},
            {"match": "*.voltage_l1", "skip": True},
            {"match": "*.current_*", "skip": True},
        ],
        overrides={"m1.voltage_l2": {"formats": ["float32", "int16"], "scale": 0.1}, "m1.current_l1": {"skip": False}},
    )

    l1, l2 = item(plan, facts, "m1.voltage_l1"), item(plan, facts, "m1.voltage_l2")
    assert [(f.format, f.times, f.over) for f in l1.fields] == [(Format.INT32, 100, 1)]
    assert [(f.format, f.times, f.over) for f in l2.fields] == [(Format.FLOAT32, 1, 1), (Format.INT16, 10, 1)]
    assert (l1.bad, l2.bad) == (Bad.EXCEPTION, Bad.EXCEPTION)
    names = {facts.points[i.index].name for i in plan.blocks[0].items}
    assert "current_l1" in names
    assert "current_l2" not in names


def test_access_none_hides_a_point_and_keeps_its_registers() -> None:
    facts = site(1)
    first = addresses(plan_of(facts), facts)
    hidden = addresses(plan_of(facts, rules=[{"match": "*.voltage_*", "access": "none"}]), facts)

    assert hidden.keys() == {key for key in first if ".voltage_" not in key[0]}
    assert all(first[key] == at for key, at in hidden.items())


def test_pins_are_kept_and_a_collision_names_the_key() -> None:
    facts = site(2)
    plan = plan_of(facts, units={"m2": 77}, overrides={"m1.current_l3": {"address": 200}})

    assert plan.blocks[1].places[0].unit == 77
    assert item(plan, facts, "m1.current_l3").fields[0].address == 200
    with pytest.raises(ProjectionError, match=r"^overrides\.m1\.current_l3\.address: "):
        plan_of(facts, overrides={"m1.current_l2": {"address": 200}, "m1.current_l3": {"address": 201}})
    with pytest.raises(ProjectionError, match=r"^units\.m2: "):
        plan_of(facts, units={"m1": 7, "m2": 7})


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"overrides": {"m1.nothing": {}}}, r"overrides\.m1\.nothing: expected a point"),
        ({"units": {"m9": 4}}, r"units\.m9: expected a device"),
        ({"blocks": {"m9": 500}}, r"blocks\.m9: expected a device"),
        (
            {"overrides": {"m1.serial_number": {"formats": ["int16"]}}},
            r"formats: .* is text: expected text, found int16",
        ),
        ({"map": {"entries": [{"unit": 1, "address": 0, "constant": 1}]}}, r"map\.entries: expected mode"),
        ({"map": {"mode": "custom", "entries": [{"unit": 1, "address": 0}]}}, r"map\.entries\.0: expected either"),
        (
            {"map": {"mode": "custom", "entries": [{"unit": 1, "address": 0, "source": "m1.x"}]}},
            r"map\.entries\.0\.source: expected a point of the site, found 'm1\.x'",
        ),
        (
            {
                "map": {
                    "mode": "custom",
                    "entries": [{"unit": 1, "address": 65533, "source": "m1.active_energy_import"}],
                }
            },
            r"map\.entries\.0\.address: expected 4 registers up to 65535",
        ),
        (
            {"map": {"mode": "modified", "entries": [{"unit": 1, "address": 499, "constant": 1}]}},
            r"map\.entries\.0\.address: 499 of unit 1 belongs to m1",
        ),
        (
            {
                "map": {
                    "mode": "custom",
                    "entries": [
                        {"unit": 1, "address": 0, "source": "m1.active_energy_import"},
                        {"unit": 1, "address": 3, "constant": 1},
                    ],
                }
            },
            r"map\.entries\.1\.address: 3 of unit 1 belongs to entry 0",
        ),
        (
            {"map": {"mode": "custom", "entries": [{"unit": 1, "address": 0, "constant": 65536}]}},
            r"map\.entries\.0\.constant: expected a number that fits uint16",
        ),
    ],
)
def test_a_mistake_is_named_by_its_path(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ProjectionError, match=message):
        plan_of(site(1), **keys)


# G-12
def test_map_modes() -> None:
    facts, entry = site(1), {"unit": 9, "address": 50_000, "source": "m1.active_energy_import", "format": "uint32"}

    default = plan_of(facts)
    modified = plan_of(facts, map={"mode": "modified", "entries": [entry]})
    custom = plan_of(facts, map={"mode": "custom", "name": "copy", "entries": [entry]})
    disabled = plan_of(facts, map={"mode": "disabled"})

    assert [b.name for b in default.blocks] == ["m1"]
    assert [b.name for b in modified.blocks] == ["m1", "own"]
    assert [(b.name, b.places[0].unit) for b in custom.blocks] == [("copy", 9)]
    assert disabled.blocks == ()
    assert custom.identity.model == "copy"


def test_a_worker_gets_the_points_its_map_shows_and_no_other() -> None:
    facts = site(2)
    entries = [{"unit": 9, "address": 0, "source": "m2.voltage_l1"}]

    made = projected(facts, map={"mode": "custom", "entries": entries})

    assert {facts.points[index].id for index in made.needs.points} == {"m2.voltage_l1"}
