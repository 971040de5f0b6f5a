"""`export registers` and `import`, as a person uses them."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from bridge.cli.main import build
from bridge.config.library import demo_dir, library_dir
from bridge.config.yaml_marks import read_file

RUN = CliRunner()


@pytest.fixture
def sheets(tmp_path: Path) -> Path:
    done = RUN.invoke(build(), ["export", "registers", str(demo_dir()), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    return tmp_path


def test_the_meter_files_of_a_site_go_out_and_come_back(sheets: Path) -> None:
    found = sorted(path.name for path in sheets.glob("*.csv"))
    made = [RUN.invoke(build(), ["import", str(sheets / name), "--out", str(sheets / "meters")]) for name in found]

    assert len(found) == 4
    assert [done.exit_code for done in made] == [0] * 4
    for path in (sheets / "meters").iterdir():
        assert read_file(path).data == read_file(library_dir() / path.name).data


def test_a_meter_file_that_is_there_is_written_over_only_when_told_so(sheets: Path) -> None:
    sheet, out = str(sheets / "registers-bsmart.csv"), str(sheets)
    (sheets / "bsmart.yaml").write_text("mine")
    refused = RUN.invoke(build(), ["import", sheet, "--out", out])
    kept = (sheets / "bsmart.yaml").read_text()
    done = RUN.invoke(build(), ["import", sheet, "--out", out, "--replace"])

    assert refused.exit_code == 1
    assert kept == "mine"
    assert done.exit_code == 0
    assert (sheets / "bsmart.yaml").read_text() != "mine"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (",kWh,", ",kWg,", "kWg"),
        ("float32", "float33", "float33"),
        ("@meter,mid-submeter", "@meter,../evil", "../evil"),
        ("point,at", "point,where", "where"),
    ],
)
def test_a_fault_is_told_with_the_line_of_the_sheet_and_nothing_is_written(
    sheets: Path, old: str, new: str, said: str
) -> None:
    sheet = sheets / "registers-mid-submeter.csv"
    text = sheet.read_text()
    assert old in text
    line = text[: text.index(old)].count("\n") + 1
    sheet.write_text(text.replace(old, new, 1))
    done = RUN.invoke(build(), ["import", str(sheet), "--out", str(sheets / "meters")])

    assert done.exit_code == 2
    assert f"registers-mid-submeter.csv:{line}:" in done.output.replace("\n", "")
    assert said in done.output
    assert not (sheets / "meters").exists()
