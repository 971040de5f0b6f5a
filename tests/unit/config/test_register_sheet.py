"""config.register_sheet: a meter file as a table and back."""

import csv
import io
from pathlib import Path

import pytest

from bridge.config.faults import Faults
from bridge.config.library import library_dir
from bridge.config.load import check_meter
from bridge.config.marked import Marked
from bridge.config.meter import MeterFile
from bridge.config.meters import Library
from bridge.config.register_sheet import from_sheet, to_sheet, to_yaml
from bridge.config.yaml_marks import read, read_file
from bridge.core.errors import ConfigErrors

FILES = sorted(library_dir().glob("*.yaml"))


def meter_file(folders: list[Path], name: str) -> MeterFile:
    faults = Faults()
    meter = Library(folders, faults).get(name, Marked("test"), ())
    assert faults.errors == []
    assert meter is not None
    return meter.file


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_of_the_library_comes_back_without_loss(path: Path, tmp_path: Path) -> None:
    data = read_file(path).data
    sheet = to_sheet(data)
    again = from_sheet(sheet, "sheet.csv").data
    (tmp_path / path.name).write_text(to_yaml(again))

    assert again == data
    assert list(again["points"]) == list(data["points"])
    assert read(to_yaml(again), "made.yaml").data == data
    assert meter_file([tmp_path, library_dir()], path.stem) == meter_file([library_dir()], path.stem)
    assert check_meter(path) == []


def test_a_sheet_is_one_row_a_point_with_plain_cells() -> None:
    rows = list(csv.DictReader(io.StringIO(to_sheet(read_file(library_dir() / "mid-submeter.yaml").data))))
    by_name = {row["point"]: row for row in rows}

    assert by_name["@meter"]["at"] == "mid-submeter"
    assert by_name["phase_loss_l1"]["states"] == "0 = OK; 1 = Loss"
    assert not any(cell.startswith("{") for row in rows if not row["point"].startswith("@") for cell in row.values())


STRANGE = [
    {"note": "1.5"},
    {"note": "true"},
    {"note": " two\nlines; 3 = x "},
    {"note": '"quoted"'},
    {"note": "[1"},
    {"label": "é, ü"},
    {"states": {0: "a; 1 = b", 1: "c"}},
    {"tags": ["a; b", "1"]},
    {"limits": [-1.5, 1e-9]},
    {"invalid": [2147483648]},
    {"at": "hr:10", "scale": 1e-05, "mid": True, "writable": False},
]


@pytest.mark.parametrize("facts", STRANGE, ids=repr)
def test_no_text_changes_its_meaning_on_the_way(facts: dict[str, object]) -> None:
    data = {"meter": "x", "note": "007", "points": {"p": facts, "gone": None}}
    again = from_sheet(to_sheet(data), "s.csv").data

    assert again == data
    assert read(to_yaml(again), "made.yaml").data == data


def test_a_spreadsheet_may_leave_columns_out_and_move_them() -> None:
    made = from_sheet("\ufeffpoint,unit,at\r\n@meter,x\r\n,,\r\nvoltage_l1,V,10\r\n", "s.csv")

    assert made.data == {"meter": "x", "points": {"voltage_l1": {"unit": "V", "at": 10}}}
    assert made.place(("points", "voltage_l1", "at")) == "s.csv:4"


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("", "s.csv:1:1", "expected `point`"),
        ("name,at\n", "s.csv:1:1", "found name"),
        ("point,att\n", "s.csv:1:2", "found att"),
        ("point,at,at\n", "s.csv:1:3", "each column once"),
        ("point,at\n@colour,red\n", "s.csv:2:1", "found @colour"),
        ("point,at\n,10\n", "s.csv:2:1", "found nothing"),
        ("point,at\na,1\na,2\n", "s.csv:3:1", "in line 2 too"),
        ("point,at\na,1,2\n", "s.csv:2:3", "at most 2 cells"),
        ('point,at\na,"1\n', "s.csv:2:1", "expected CSV"),
    ],
)
def test_a_broken_sheet_is_refused_with_line_and_column(text: str, where: str, what: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        from_sheet(text, "s.csv")

    (error,) = caught.value.errors
    assert str(error).startswith(where)
    assert what in error.message


def test_a_wrong_value_is_told_with_the_line_of_the_sheet() -> None:
    made = from_sheet("point,type\n@meter,x\n@vendor,y\n@source,z\nvoltage_l1,float99\n", "s.csv")
    faults = Faults()
    faults.convert(made, MeterFile)

    (error,) = faults.errors
    assert (error.file, error.line, error.column) == ("s.csv", 5, 2)
