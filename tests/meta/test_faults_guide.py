"""docs/faults.md: every fault that the manuals of the seed meters list has a row, and every quality its words."""

from pathlib import Path

import pytest

from bridge.core.quality import UNUSABLE, Quality

GUIDE = (Path(__file__).parents[2] / "docs" / "faults.md").read_text()
ROWS = [line.lower() for line in GUIDE.splitlines() if line.startswith("|")]
# C-03: seeds 000 (11), 002 (11, 12) and 003 (Dépannage), as sets of words of one row
LISTED = {
    "no answer": ("no answer", "a and b swapped", "120 ohm", "parity", "address"),
    "duplicate address": ("two devices with one address",),
    "absurd energy": ("absurd energy", "current transformers", "order of the phases"),
    "current 0": ("current 0", "transformer not closed"),
    "negative power factor": ("negative power factor", "capacitive load", "transformer reversed"),
    "false phase loss": ("phase loss", "single-phase load"),
    "inverted sequence": ("reverse phase sequence", "swap"),
    "missing phase": ("missing l1", "silence"),
}


@pytest.mark.parametrize("fault", LISTED)
def test_a_fault_of_the_manuals_has_its_row(fault: str) -> None:
    assert [row for row in ROWS if all(word in row for word in LISTED[fault])], fault


def test_every_quality_without_a_present_reading_is_explained() -> None:
    unusable = [flag.name.lower() for flag in Quality if flag and flag & UNUSABLE and flag.name]

    assert {name for name in unusable if f"`{name}`" not in GUIDE} <= {"never_read"}
    assert len(unusable) > 3
