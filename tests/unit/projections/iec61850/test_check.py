"""`meterbridge check` explains a CID like any other file."""

from pathlib import Path

from bridge.projections.iec61850.check import findings
from bridge.projections.iec61850.cid import cid
from tests.support.mms_site import plan_of, site

FACTS = site(1)
PLAN = plan_of(FACTS, cid_dir="cid")
TEXT = cid(PLAN, "1")


def test_a_faulty_file_is_told_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "cid").mkdir()
    (tmp_path / "cid" / "x.cid").write_bytes(TEXT.replace(b'doName="Hz" fc', b'doName="Hzz" fc', 1))

    faults, warnings = findings(PLAN, FACTS, tmp_path)

    line = TEXT[: TEXT.index(b'doName="Hz" fc')].count(b"\n") + 1
    assert str(next(iter(faults))).startswith(f"{tmp_path}/cid/x.cid:{line}:1: cid: FCDA")
    assert list(warnings) == []


def test_a_folder_without_the_one_file_is_a_warning(tmp_path: Path) -> None:
    assert "no such folder yet" in next(iter(findings(PLAN, FACTS, tmp_path)[1]))
    (tmp_path / "cid").mkdir()
    assert "found 0" in next(iter(findings(PLAN, FACTS, tmp_path)[1]))


def test_a_good_file_and_the_generated_one_need_no_word(tmp_path: Path) -> None:
    (tmp_path / "cid").mkdir()
    (tmp_path / "cid" / "x.cid").write_bytes(TEXT)

    assert findings(PLAN, FACTS, tmp_path) == ((), ())
    assert findings(plan_of(FACTS), FACTS, tmp_path) == ((), ())
