import zipfile
from pathlib import Path

import pytest

from bridge.config.shipped import mappings

TOP = Path(__file__).parents[3]


def test_the_shipped_mappings_of_a_checkout_are_those_of_the_repository() -> None:
    assert mappings() == TOP / "mappings"


def test_a_wheel_carries_every_mapping(tmp_path: Path) -> None:
    build = pytest.importorskip("hatchling.build", reason="hatchling is not installed: make check installs it")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(TOP)
        wheel = tmp_path / build.build_wheel(str(tmp_path))

    carried = set(zipfile.ZipFile(wheel).namelist())

    wanted = {f"bridge/{p.relative_to(TOP)}" for p in (TOP / "mappings").rglob("*") if p.is_file()}
    assert wanted <= carried
