"""core.ontology: tags and classes of points."""

import csv
from pathlib import Path

import pytest

from bridge.core.ontology import brick_class, haystack_tags
from bridge.core.point import Role
from bridge.core.quantity import Phase, Quantity, meaning_of

LIST = Path(__file__).parents[1] / "config" / "submeter_points.csv"
ROWS = list(csv.DictReader(LIST.read_text(encoding="utf-8").splitlines()))
ROLES = {
    "measurement": Role.MEASUREMENT,
    "command": Role.COMMAND,
    "status": Role.STATUS,
    "configuration": Role.SETTING,
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["point"])
def test_a_point_of_the_submeter_list_has_the_tags_and_class_of_the_list(row: dict[str, str]) -> None:
    # P-13
    meaning, role = meaning_of(row["point"].lower()), ROLES[row["section"]]

    assert haystack_tags(meaning, role) == tuple(tag.strip() for tag in row["haystack_tags"].split(","))
    assert brick_class(meaning, role) == row["brick_class"]


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("active_energy_import_l2", "sensor elec energy active import phase L2 ac point"),
        ("voltage_average_ln", "sensor elec volt avg ac point"),
        ("ch2_active_power_l1", "sensor elec power active phase L1 ac point"),
        ("reactive_energy_q3", "sensor elec energy reactive q3 ac point"),
        ("active_energy_import_partial", "sensor elec energy active import partial ac point"),
    ],
)
def test_points_beyond_the_list_are_tagged_by_the_same_rule(name: str, tags: str) -> None:
    assert haystack_tags(meaning_of(name), Role.MEASUREMENT) == tuple(tags.split())


def test_what_identifies_a_device_is_no_point_to_haystack() -> None:
    assert haystack_tags(meaning_of("serial_number"), Role.IDENTITY) == ()
    assert brick_class(meaning_of("serial_number"), Role.IDENTITY) == ""


def test_every_quantity_on_every_phase_can_be_tagged() -> None:
    for quantity in Quantity:
        for phase in Phase:
            meaning = meaning_of(f"{quantity.value}_{phase.value}")

            assert haystack_tags(meaning, Role.STATUS)[-1] == "point"
