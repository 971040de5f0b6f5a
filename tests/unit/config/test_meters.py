"""Meter files that extend one another, and folders of them."""

from pathlib import Path

from bridge.config.faults import Faults
from bridge.config.load import check_meters
from bridge.config.marked import Marked
from bridge.config.meter import WordOrder
from bridge.config.meters import Library, Meter

PARENT = """
meter: parent
vendor: Acme
source: "the manual"
models: {P: {mid: true}}
modbus: {addressing: one, word_order: CDAB, timeout_s: 2}
points:
  voltage_l1_n: {at: 1, type: uint16, scale: 0.1, unit: V}
  frequency: {at: 2, type: uint16, scale: 0.01}
  current_l1: {at: 3, type: uint16, unit: A}
"""
CHILD = """
meter: child
source: "a trace"
extends: parent
modbus: {timeout_s: 5}
points:
  frequency: {scale: 0.1}
  current_l1: ~
  current_l2: {at: 4, type: uint16, unit: A}
"""


def child(tmp_path: Path) -> Meter:
    (tmp_path / "parent.yaml").write_text(PARENT)
    (tmp_path / "child.yaml").write_text(CHILD)
    faults = Faults()
    meter = Library([tmp_path], faults).get("child", Marked("site.yaml"), ())
    assert faults.errors == []
    assert meter is not None
    return meter


def test_a_meter_takes_over_what_it_does_not_say_itself(tmp_path: Path) -> None:
    file = child(tmp_path).file

    assert (file.vendor, file.source) == ("Acme", "a trace")
    assert (file.modbus.word_order, file.modbus.timeout_s) == (WordOrder.CDAB, 5)
    assert list(file.points) == ["voltage_l1_n", "frequency", "current_l2"]
    assert (file.points["frequency"].at, file.points["frequency"].scale) == (2, 0.1)


def test_a_model_is_not_taken_over_for_mid_belongs_to_the_model(tmp_path: Path) -> None:
    # M-21
    assert child(tmp_path).file.models == {}


def test_every_fact_keeps_the_file_and_line_it_was_written_in(tmp_path: Path) -> None:
    marked = child(tmp_path).marked

    assert marked.place(("points", "voltage_l1_n")) == f"{tmp_path}/parent.yaml:8"
    assert marked.place(("points", "frequency", "at")) == f"{tmp_path}/parent.yaml:9"
    assert marked.place(("points", "frequency", "scale")) == f"{tmp_path}/child.yaml:7"
    assert marked.place(("points", "current_l2")) == f"{tmp_path}/child.yaml:9"


def test_the_first_folder_that_has_a_meter_wins(tmp_path: Path) -> None:
    for folder, vendor in (("own", "Ours"), ("library", "Theirs")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "parent.yaml").write_text(PARENT.replace("Acme", vendor))

    meter = Library([tmp_path / "own", tmp_path / "library"], Faults()).get("parent", Marked("site.yaml"), ())

    assert meter is not None
    assert meter.file.vendor == "Ours"


def test_a_file_that_others_extend_is_told_of_once(tmp_path: Path) -> None:
    (tmp_path / "parent.yaml").write_text(PARENT.replace("unit: V", "unit: W"))
    (tmp_path / "child.yaml").write_text(CHILD)

    (error,) = check_meters(tmp_path)

    assert (error.file, error.line) == (f"{tmp_path}/parent.yaml", 8)
