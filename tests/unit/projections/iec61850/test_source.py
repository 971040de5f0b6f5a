"""Loading from the folder: the one file, its faults, its log."""

import asyncio
from pathlib import Path

import pytest

from bridge.projections.iec61850 import source
from bridge.projections.iec61850.cid import cid
from tests.support.mms_site import plan_of, site

FACTS = site(1)
KINDS = {definition.id: definition.kind for definition in FACTS.points}
PLAN = plan_of(FACTS, cid_dir="cid")
TEXT = cid(PLAN, "1")


def test_the_generated_cid_is_served_when_no_folder_is_named() -> None:
    loaded = source.load(plan_of(FACTS), None, KINDS)

    assert loaded.model is not None
    assert {binding.point for binding in loaded.model.bindings} - {""} == KINDS.keys()


@pytest.mark.parametrize("names", [(), ("a.cid", "b.CID")])
def test_none_or_two_files_are_not_served(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).write_bytes(TEXT)

    loaded = source.load(PLAN, tmp_path, KINDS)

    assert loaded.model is None
    assert f"found {len(names)}" in loaded.why


def test_a_file_that_cannot_be_read_or_is_a_folder_closes_the_port(tmp_path: Path) -> None:
    (tmp_path / "a.cid").mkdir()

    assert "found 0" in source.load(PLAN, tmp_path, KINDS).why


def test_the_log_tells_every_load_and_stays_small(tmp_path: Path) -> None:
    (tmp_path / "a.cid").write_bytes(TEXT.replace(b'type="AnalogueValue"', b'type="NOPE"'))
    loaded = source.load(PLAN, tmp_path, KINDS)

    for at in range(400):
        source.record(tmp_path, loaded, at * 10**9)

    log = (tmp_path / source.LOG_NAME).read_text()
    assert "1970-01-01T00:06:39Z closed a.cid refused" in log
    assert "'NOPE' is not defined" in log
    assert len(log) <= 65_536
    assert (tmp_path / source.LOG_NAME).stat().st_mode & 0o222 == 0


async def test_a_copy_under_way_is_not_taken_for_a_new_file(tmp_path: Path) -> None:
    waiting = asyncio.ensure_future(source.changed(tmp_path, ()))
    for size in (100, 200, 300):
        (tmp_path / "a.cid").write_bytes(TEXT[:size])
        await asyncio.sleep(source.LOOK_S)
        assert not waiting.done()

    await asyncio.sleep(3 * source.LOOK_S)

    assert waiting.done()
