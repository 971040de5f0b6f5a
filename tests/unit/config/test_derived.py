"""config.derived: points that the site file makes out of others."""

from pathlib import Path

from bridge.config.load import load_site
from bridge.config.model import FieldDevice, Formula, Operation, SiteConfig
from bridge.core.point import Kind, PointDef

LIBRARY = Path(__file__).with_name("cases") / "library"
SITE = """
site: {name: tower}
channels:
  lan: {kind: tcp, host: 10.0.0.1}
devices:
  one: {meter: plain, channel: lan, unit: 1}
  two: {meter: plain, channel: lan, unit: 2}
services:
  derived:
"""


def loaded(tmp_path: Path, *lines: str) -> SiteConfig:
    path = tmp_path / "site.yaml"
    path.write_text(SITE + "".join(f"    {line}\n" for line in lines))
    return load_site(path, LIBRARY)


def definition(config: SiteConfig, id_: str) -> PointDef:
    return next(point for point in config.points if point.id == id_)


def device(config: SiteConfig, id_: str) -> FieldDevice:
    return next(device for device in config.field if device.definition.id == id_)


def test_a_device_that_is_no_meter_comes_into_being_with_its_points(tmp_path: Path) -> None:
    config = loaded(tmp_path, "building.active_power_total: {sum: ['*.active_power_total']}")

    assert device(config, "building").definition.channel == ""
    assert config.formulas == (
        Formula("building.active_power_total", Operation.SUM, ("one.active_power_total", "two.active_power_total")),
    )


def test_a_point_of_a_meter_stands_among_the_others_of_that_meter(tmp_path: Path) -> None:
    config = loaded(tmp_path, "one.load_share: {ratio: [one.active_power_total, two.active_power_total], unit: '%'}")

    assert device(config, "one").points[-1].definition.id == "one.load_share"
    assert device(config, "one").points[-1].read is None


def test_indexes_go_on_after_those_of_the_meters(tmp_path: Path) -> None:
    config = loaded(tmp_path, "building.active_power_total: {sum: ['*.active_power_total']}")

    assert [point.index for point in config.points] == list(range(len(config.points)))


def test_a_sum_of_energies_is_a_count_as_fine_as_the_finest(tmp_path: Path) -> None:
    config = loaded(tmp_path, "building.active_energy_import: {sum: ['*.active_energy_import'], unit: MWh}")

    energy = definition(config, "building.active_energy_import")
    assert (energy.kind, energy.unit, energy.resolution) == (Kind.ACCUMULATOR, "MWh", -5)


def test_the_first_of_a_difference_is_what_the_others_are_taken_from(tmp_path: Path) -> None:
    config = loaded(
        tmp_path, "building.active_energy_net: {difference: [one.active_energy_import, two.active_energy_import]}"
    )

    assert (config.formulas[0].inputs, config.formulas[0].minus) == (
        ("one.active_energy_import",),
        ("two.active_energy_import",),
    )


def test_a_derived_point_may_use_those_above_it(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "building.active_power_total: {sum: ['*.active_power_total']}",
        "one.load_share: {ratio: [one.active_power_total, building.active_power_total]}",
    )

    assert config.formulas[1].inputs == ("one.active_power_total", "building.active_power_total")


def test_a_pattern_finds_points_of_meters_and_none_that_are_derived(tmp_path: Path) -> None:
    config = loaded(
        tmp_path,
        "building.active_power_total: {sum: ['*.active_power_total']}",
        "campus.active_power_total: {sum: ['*.active_power_total']}",
    )

    assert len(config.formulas[1].inputs) == 2


def test_what_is_computed_does_not_turn_stale_by_itself(tmp_path: Path) -> None:
    config = loaded(tmp_path, "building.active_power_total: {sum: ['*.active_power_total']}")

    assert definition(config, "building.active_power_total").stale_after_ns == 0
