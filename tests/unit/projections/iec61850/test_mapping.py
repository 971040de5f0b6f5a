"""Which data object shows which point, and what the ledger keeps."""

import msgspec
import pytest

from bridge.config.ledger import Ledger
from bridge.core.errors import ProjectionError
from bridge.core.point import Kind, PointDef, Role
from bridge.core.ports import Grant, SiteFacts
from bridge.core.quantity import Quantity, meaning_of
from bridge.projections.iec61850.mapping import project
from bridge.projections.iec61850.objects import pulse_of, spot_of, unit_of
from bridge.projections.iec61850.plan import Control
from bridge.projections.iec61850.settings import Import
from tests.support.mms_site import device, mapping, plan_of, projected, site


def point(name: str, kind: Kind = Kind.ANALOG, unit: str = "", index: int = 0, **more: object) -> PointDef:
    base = PointDef(index, f"m1.{name}", kind, unit, meaning=meaning_of(name))
    return msgspec.structs.replace(base, **more)


def reference(name: str, kind: Kind = Kind.ANALOG, import_energy: Import = Import.SUPPLY) -> str:
    spot = spot_of(point(name, kind), import_energy)
    if spot is None:
        return ""
    return f"{spot.prefix}{spot.ln_class}{spot.inst}.{spot.object}" + (f".{spot.phase}" if spot.phase else "")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("active_power_total", "MMXU1.TotW"),
        ("active_power_l2", "MMXU1.W.phsB"),
        ("reactive_power_total", "MMXU1.TotVAr"),
        ("power_factor_l3", "MMXU1.PF.phsC"),
        ("voltage_l1_n", "MMXU1.PhV.phsA"),
        ("voltage_l3_l1", "MMXU1.PPV.phsCA"),
        ("voltage_average_ll", "MMXU1.AvPPVPhs"),
        ("current_neutral", "MMXU1.A.neut"),
        ("residual_current", "MMXU1.A.res"),
        ("frequency", "MMXU1.Hz"),
        ("ch2_active_power_total", "MMXU2.TotW"),
        ("active_power_total_max", "MaxMMXU1.TotW"),
        ("thd_voltage_l1_l2", "MHAI1.ThdPPV.phsAB"),
        ("thd_current_l1", "MHAI1.ThdA.phsA"),
        ("demand_peak_current", "MSTA1.MaxW"),
        ("active_demand", "MSTA1.AvW"),
        ("reactive_demand_peak", "MSTA1.MaxVAr"),
        ("voltage_unbalance", ""),
        ("temperature", ""),
    ],
)
def test_a_measurand_has_its_standard_object(name: str, expected: str) -> None:
    assert reference(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("active_energy_import", "MMTR1.SupWh"),
        ("active_energy_export", "MMTR1.DmdWh"),
        ("active_energy_net", "MMTR1.TotWh"),
        ("reactive_energy_import_l2", "L2MMTR1.SupVArh"),
        ("active_energy_import_t2", "T2MMTR1.SupWh"),
        ("active_energy_import_l1_t2", "L1T2MMTR1.SupWh"),
        ("active_energy_import_partial", "PrtMMTR1.SupWh"),
        ("reactive_energy_q3", "Q3MMTR1.TotVArh"),
        ("apparent_energy", "MMTR1.TotVAh"),
        ("apparent_energy_import", "ImpMMTR1.TotVAh"),
        ("ch2_active_energy_export", "MMTR2.DmdWh"),
        ("volt_square_hours", ""),
    ],
)
def test_a_counter_has_its_standard_object(name: str, expected: str) -> None:
    assert reference(name, Kind.ACCUMULATOR) == expected


def test_an_indicative_copy_of_a_counter_is_never_shown_as_one() -> None:
    assert reference("active_energy_import_indicative") == ""


def test_the_side_of_the_import_can_be_turned() -> None:
    assert reference("active_energy_import", Kind.ACCUMULATOR, Import.DEMAND) == "MMTR1.DmdWh"
    assert reference("active_energy_export", Kind.ACCUMULATOR, Import.DEMAND) == "MMTR1.SupWh"


@pytest.mark.parametrize(
    ("exponent", "expected"),
    [(1, (10.0, 0)), (0, (1.0, 0)), (-1, (1.0, -1)), (-3, (1.0, -3)), (-4, (100.0, -6)), (10, (10.0**10, 0))],
)
def test_the_step_of_a_counter_is_a_whole_power_of_ten(exponent: int, expected: tuple[float, int]) -> None:
    pulse, multiplier = pulse_of(exponent)

    assert (pulse, multiplier) == expected
    assert int(pulse) * 10**12 * 10.0**multiplier == pytest.approx(10**12 * 10.0**exponent)


@pytest.mark.parametrize("exponent", [11, -7])
def test_a_step_that_no_float32_holds_is_refused(exponent: int) -> None:
    with pytest.raises(ValueError, match="has no pulsQty"):
        pulse_of(exponent)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("kW", (38, 3)), ("%", (1, -2)), ("V", (29, 0)), ("min", (85, 0)), ("ms", (4, -3)), ("", (1, 0))],
)
def test_a_unit_is_its_ordinal_and_power_of_ten(unit: str, expected: tuple[int, int]) -> None:
    assert unit_of(point("x", unit=unit)) == expected


def test_every_point_of_a_site_has_an_object_of_its_own() -> None:  # I-04
    facts = site(3)

    items = [(m.inst, i) for m in plan_of(facts).meters for i in m.items]

    assert {item.point for _, item in items} == {definition.id for definition in facts.points}
    assert len({(inst, i.node, i.object, i.phase) for inst, i in items}) == len(facts.points)


def test_two_points_of_one_meaning_do_not_share_an_object() -> None:
    points = [point("voltage_l1", unit="V"), point("voltage_l1_n", unit="V", index=1)]

    items = plan_of(SiteFacts("s", points, [device(1)])).meters[0].items

    assert [f"{item.node}.{item.object}" for item in items] == ["MMXU1.PhV", "GGIO1.AnIn1"]


def test_generic_numbers_survive_inserting_and_removing() -> None:
    def numbers_of(names: list[str], ledger: Ledger) -> dict[str, str]:
        points = [point(name, Kind.BINARY, index=at, role=Role.STATUS) for at, name in enumerate(names)]
        made = project(mapping(), SiteFacts("s", points, [device(1)]), ledger)
        return {i.point: i.object for m in made.plan.meters for i in m.items}  # type: ignore[attr-defined]

    ledger = Ledger()
    first = numbers_of(["tamper_alarm", "meter_error"], ledger)
    second = numbers_of(["billing_lock", "meter_error"], ledger)
    third = numbers_of(["billing_lock", "tamper_alarm", "meter_error"], ledger)

    assert first == {"m1.tamper_alarm": "Ind1", "m1.meter_error": "Ind2"}
    assert second == {"m1.billing_lock": "Ind3", "m1.meter_error": "Ind2"}
    assert third == {**first, **second}


def test_devices_whose_ids_differ_only_in_what_a_name_may_not_have_get_names_of_their_own() -> None:
    devices = [msgspec.structs.replace(device(1), id=name) for name in ("a-b", "a_b", "1st")]
    points = [PointDef(at, f"{d.id}.frequency", Kind.ANALOG, "Hz") for at, d in enumerate(devices)]

    insts = [meter.inst for meter in plan_of(SiteFacts("s", points, devices)).meters]

    assert insts == ["a_b", "a_b_2", "M_1st"]


def test_no_output_is_commanded_unless_the_mapping_names_it_and_a_billed_point_never() -> None:  # I-06
    facts = site(1)
    rules = [{"match": "*", "control": "direct"}]

    opted = project(mapping(rules=rules), facts, Ledger())
    plain = project(mapping(), facts, Ledger())
    billed = [msgspec.structs.replace(d, writable=True, mid=True) for d in facts.points]
    locked = project(mapping(rules=rules), SiteFacts("s", billed, facts.devices), Ledger())

    assert plain.needs.grants is Grant.NOTICES
    assert opted.needs.grants is Grant.NOTICES | Grant.COMMANDS
    assert {i.point for i in opted.plan.meters[0].items if i.control is Control.DIRECT} == {  # type: ignore[attr-defined]
        "m1.digital_output_1",
        "m1.digital_output_2",
        "m1.tariff_select",
        "m1.overload_threshold",
    }
    assert locked.needs.grants is Grant.NOTICES


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"overrides": {"m1.nope": {"skip": True}}}, ("overrides", "m1.nope")),
        ({"overrides": {"m1.frequency": {"control": "direct"}}}, ("overrides", "m1.frequency", "control")),
        ({"devices": {"m9": "X"}}, ("devices", "m9")),
        ({"devices": {"m1": "X", "m2": "X"}}, ("devices", "m1")),
        ({"ip": "here"}, ("ip",)),
    ],
)
def test_a_mapping_that_cannot_be_served_names_its_place(settings: dict[str, object], path: tuple[str, ...]) -> None:
    with pytest.raises(ProjectionError) as refused:
        project(mapping(**settings), site(2), Ledger())

    assert refused.value.path == path


def test_what_is_skipped_is_not_there_and_not_needed() -> None:
    made = project(mapping(rules=[{"match": "m2.*", "skip": True}]), site(2), Ledger())

    assert [meter.device for meter in made.plan.meters] == ["m1"]  # type: ignore[attr-defined]
    assert len(made.needs.points) == len(site(1).points)


def test_a_site_beyond_what_one_server_carries_is_refused_with_the_figures() -> None:  # BARS L5
    facts = site(1)
    campus = [
        msgspec.structs.replace(point, index=meter * 100 + at, id=f"m{meter}.{point.name}")
        for meter in range(1, 1001)
        for at, point in enumerate(facts.points)
    ]
    devices = [device(number) for number in range(1, 1001)]
    with pytest.raises(ProjectionError) as many:
        projected(SiteFacts("campus", campus, devices))
    assert many.value.path == ("rules",)
    assert "expected 24,000 points at most" in str(many.value)
    assert f"found {len(campus):,}: skip some by a rule" in str(many.value)

    few = [point for point in campus if point.meaning.quantity is Quantity.ACTIVE_ENERGY]
    with pytest.raises(ProjectionError, match="expected 3,000 report blocks at most, found 6,000 for 1,000 meters"):
        projected(SiteFacts("campus", few, devices))
    assert projected(SiteFacts("campus", few, devices), reports={"instances": 2}).plan is not None
    assert projected(SiteFacts("campus", few, devices), reports={"layout": "events-wide"}).plan is not None
