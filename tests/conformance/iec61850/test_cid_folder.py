"""The one CID of the folder decides what is served: none, two or a faulty one keep the port closed."""

import asyncio
import os
from pathlib import Path

import pytest

from bridge.projections.iec61850.cid import cid
from bridge.workers.status import State
from tests.conformance.iec61850.hosted import Hosted, client, hosted
from tests.support.mms_client import FC
from tests.support.mms_site import plan_of, site
from tests.support.workers import status, until

pytestmark = pytest.mark.real_time
TEXT = cid(plan_of(site(1)), "1")


async def test_without_a_file_the_port_is_closed_and_everything_else_is_ready(tmp_path: Path) -> None:  # I-02, I-03
    async with hosted(1, state_dir=str(tmp_path), cid_dir="cid") as host:
        await until(lambda: "serving" in host.counters)

        assert status(host.supervisor, "iec61850").state is State.READY
        assert host.counters["serving"] == 0
        assert not await is_open(host)
        assert "expected exactly one .cid file" in log_of(tmp_path)


async def test_a_file_dropped_in_opens_the_port_and_its_removal_closes_it(tmp_path: Path) -> None:  # I-02, I-05
    folder = tmp_path / "cid"
    async with hosted(1, state_dir=str(tmp_path), cid_dir="cid") as host:
        (folder / "GW1.cid").write_bytes(TEXT)
        await opened(host)
        async with client(host.port) as c:
            assert await c.get_server_directory() == ["GW1m1"]
        (folder / "second.CID").write_bytes(TEXT)
        await closed(host)
        (folder / "second.CID").unlink()
        await opened(host)
        (folder / "GW1.cid").unlink()
        await closed(host)
        await until(lambda: log_of(tmp_path).rstrip().endswith("found 0"))
        # every step is an event, and the closed ones an alarm
        await until(lambda: len(host.notices.seen) == 5)
        told = [(text.split(", ")[-1], fault) for text, fault in host.notices.seen]

    assert told == [
        ("found 0", True), ("serving GW1.cid", False), ("found 2", True), ("serving GW1.cid", False), ("found 0", True),
    ]  # fmt: skip
    log = log_of(tmp_path)
    assert "serving GW1.cid" in log
    assert "found 2" in log
    assert os.stat(folder / "iec61850.log").st_mode & 0o777 == 0o444


async def test_an_edited_file_is_served_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "cid"
    folder.mkdir()
    edited = TEXT.replace(b'name="GW1"', b'name="PLANT"').replace(b'"GW1"', b'"PLANT"').replace(b"dsEvent", b"dsMine")
    (folder / "x.cid").write_bytes(edited)
    async with hosted(1, state_dir=str(tmp_path), cid_dir="cid") as host, client(host.port) as c:
        names = await c.get_server_directory()
        members = await c.get_data_set_values("PLANTm1/LLN0.dsMine")
        power = await c.read_float("PLANTm1/MMXU1.TotW.mag.f", FC.MX)

    assert names == ["PLANTm1"]
    assert len(members) > 5
    assert power > 0


async def test_a_faulty_file_is_refused_as_a_whole_and_the_log_names_the_lines(tmp_path: Path) -> None:
    folder = tmp_path / "cid"
    folder.mkdir()
    faulty = TEXT.replace(b'type="AnalogueValue"', b'type="NOPE"', 1).replace(b'doName="Hz" fc', b'doName="Hzz" fc', 1)
    (folder / "x.cid").write_bytes(faulty)
    async with hosted(1, state_dir=str(tmp_path), cid_dir="cid") as host:
        await until(lambda: host.counters.get("cid_faults", 0) >= 2)
        ((text, fault),) = host.notices.seen
        assert fault
        assert text.startswith("port closed: x.cid refused with 8 faults, the first: line ")
        assert not await is_open(host)
        (folder / "x.cid").write_bytes(TEXT)
        await opened(host)

    log = log_of(tmp_path)
    assert "DAType 'NOPE' is not defined" in log
    assert "Hzz" in log
    assert "line " in log


async def is_open(host: Hosted) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", host.port)
    except OSError:
        return False
    writer.close()
    return True


async def opened(host: Hosted) -> None:
    async with asyncio.timeout(8):
        while not await is_open(host):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


async def closed(host: Hosted) -> None:
    async with asyncio.timeout(8):
        while await is_open(host):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
        # closed for good, and not only amid a restart
        await asyncio.sleep(1)
        assert not await is_open(host)


def log_of(state_dir: Path) -> str:
    return (state_dir / "cid" / "iec61850.log").read_text()
