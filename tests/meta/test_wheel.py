"""What `pip install` brings."""

import zipfile
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]


def test_a_wheel_carries_the_meter_library_and_the_demo_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = pytest.importorskip("hatchling.build", reason="hatchling comes with requirements-build.lock")
    monkeypatch.chdir(TOP)
    wheel = tmp_path / build.build_wheel(str(tmp_path))

    carried = set(zipfile.ZipFile(wheel).namelist())

    wanted = {f"bridge/data/{p.relative_to(TOP / 'mappings')}" for p in (TOP / "mappings").rglob("*") if p.is_file()}
    assert wanted
    assert wanted <= carried
