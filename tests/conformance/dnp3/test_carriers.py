"""The same outstation over TLS and over a serial line, asked by an opendnp3 master; and what tshark says of it all."""

import asyncio
import contextlib
import os
import pty
import subprocess
import tty
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.core.point import Sample
from bridge.core.quality import Quality
from tests.support.captures import captured, dissected, needs_tshark
from tests.support.certificates import Authority
from tests.support.dnp3_master import link
from tests.support.dnp3_site import CLASS_0, POLL, Peer, opendnp3, spec_of, static_values
from tests.support.modbus_site import NOW_NS, site, store_of
from tests.support.workers import running, status, until

pytestmark = [pytest.mark.real_time, pytest.mark.slow]
PORT = 23060
FACTS = site(5)
# Answer to CLASS_0: link header, one block of transport, application header, object header, flags and float.
ANSWER_BYTES = 10 + 15 + 2
VOLTAGE = next(d for d in FACTS.points if d.name == "voltage_l1")


# D-01, BARS S5
async def test_a_master_reads_over_tls_with_a_certificate_of_the_authority_only(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server, client = authority.issue("server"), authority.issue("client")
    tls = {"certificate": str(server[0]), "key": str(server[1]), "client_ca": str(authority.file)}
    listener = {"port": PORT, "tls": tls}
    own = [str(authority.file), str(client[0]), str(client[1])]
    async with running(store_of(FACTS), [spec_of(FACTS, PORT, listener=listener)]) as supervisor:
        async with opendnp3(PORT, tls=own) as master:
            await master.started()
            read = static_values(await master.ask("integrity"))
        trusted = await Peer.connect(PORT, authority.client_context(client))
        answered = await trusted.ask(CLASS_0)
        trusted.close()
        with contextlib.suppress(OSError):
            stranger = await Peer.connect(PORT, authority.client_context())
            assert await stranger.ask(CLASS_0) is None
        await until(lambda: status(supervisor, "dnp3").counters.get("refused_tls", 0) == 1)

    assert len(read) > 100
    assert answered


# BARS S10
async def test_the_server_is_well_though_its_own_certificate_is_of_another_authority(tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    ours, others = Authority(tmp_path, "ours"), Authority(tmp_path / "others", "others")
    server, client = ours.issue("server"), others.issue("client")
    tls = {"certificate": str(server[0]), "key": str(server[1]), "client_ca": str(others.file)}
    async with running(store_of(FACTS), [spec_of(FACTS, PORT + 4, listener={"port": PORT + 4, "tls": tls})]) as worker:
        context = ours.client_context(client)
        peer = await Peer.connect(PORT + 4, context)
        answered = await peer.ask(CLASS_0)
        peer.close()
        counters = status(worker, "dnp3").counters

    assert answered
    assert counters.get("probe_failed", 0) == 0


@contextlib.asynccontextmanager
async def cable(path: Path) -> AsyncIterator[tuple[Path, Path]]:
    """Two pseudo-terminals joined to a cable."""
    one, two = path / "one", path / "two"
    process = await asyncio.create_subprocess_exec(
        "socat", f"pty,rawer,link={one}", f"pty,rawer,link={two}", stderr=subprocess.DEVNULL
    )
    try:
        await until(lambda: one.exists() and two.exists())
        yield one, two
    finally:
        process.terminate()
        await process.wait()


# D-01
async def test_a_master_reads_over_a_serial_line_beside_one_on_tcp(tmp_path: Path) -> None:
    store = store_of(FACTS)
    async with cable(tmp_path) as (ours, theirs):
        masters = [{"address": 1, "serial": {"port": str(ours), "baud": 115200}}, {"address": 2}]
        async with (
            running(store, [spec_of(FACTS, PORT + 1, masters=masters)]),
            opendnp3(PORT + 1, 1, serial=str(theirs), baud=115200) as serial,
            opendnp3(PORT + 1, 2) as tcp,
        ):
            await serial.started()
            await tcp.started()
            read = [static_values(await master.ask("integrity")) for master in (serial, tcp)]
            store.publish([(VOLTAGE.index, Sample(77.0, Quality.GOOD, NOW_NS, 2))])
            await asyncio.sleep(0.3)
            events = [await master.ask("events") for master in (serial, tcp)]

    assert read[0] == read[1]
    assert len(read[0]) > 100
    assert [[row[2] for row in answer["rows"]] for answer in events] == [[77.0], [77.0]]


# BARS R3
async def test_a_serial_port_that_is_pulled_is_served_again_when_it_is_back(tmp_path: Path) -> None:
    port = tmp_path / "line"
    masters = [{"address": 1, "serial": {"port": str(port)}}]

    def plug() -> int:
        near, far = pty.openpty()
        tty.setraw(near)
        port.unlink(missing_ok=True)
        port.symlink_to(os.ttyname(far))
        os.close(far)
        return near

    async def asked(near: int) -> bool:
        os.set_blocking(near, False)
        got = b""
        for _ in range(100):
            with contextlib.suppress(OSError):
                os.write(near, link(CLASS_0))
            await asyncio.sleep(0.1)
            with contextlib.suppress(OSError):
                got += os.read(near, 4096)
            if len(got) >= ANSWER_BYTES:
                return True
        return False

    async with running(store_of(FACTS), [spec_of(FACTS, PORT + 2, masters=masters)]) as supervisor:
        served = []
        for _ in range(3):
            near = plug()
            served.append(await asked(near))
            os.close(near)
            await asyncio.sleep(0.3)
        worker = status(supervisor, "dnp3")

    assert served == [True] * 3
    assert worker.starts == 1


@needs_tshark
async def test_tshark_finds_no_fault_in_any_frame(tmp_path: Path) -> None:
    store = store_of(FACTS)
    capture = tmp_path / "dnp3.pcap"
    masters = [
        {"address": 1, "unsolicited": True, "allow": ["freeze", "time", "deadband", "assign_class", "control"]},
        {"address": 2},
    ]
    rules = [
        {"match": "*.phase_loss_l1", "event_variation": 3},
        {"match": "*.energy_direction", "as": "double_bit"},
        {"match": "*.serial_number", "class": 3},
    ]
    more = {"masters": masters, "rules": rules, "access": "read-write", "command_class": 1}
    async with captured(PORT + 3, capture), running(store, [spec_of(FACTS, PORT + 3, **more)]):
        async with opendnp3(PORT + 3, unsolicited=True, time="LAN") as one, opendnp3(PORT + 3, 2) as two:
            for master in (one, two):
                await master.started()
            for d in FACTS.points:
                sample = store.get(d.index)
                store.publish([(d.index, Sample(sample.value, Quality.COMM_LOST, sample.source_ns + 10**9, 3))])
            await one.ask("wait", seconds=0.3)
            await one.ask("freeze", headers=[[20, 0]])
            await one.ask("deadband", index=0, value=2.0)
            await one.ask("function", code="ASSIGN_CLASS", headers=[[60, 2], [30, 0]])
            await one.ask("control", type="AnalogOutputDouble64", index=0, value=90.0, sbo=True)
            await one.ask("control", type="ControlRelayOutputBlock", index=0, value="LATCH_ON")
            for headers in ([[0, 254]], [[34, 3]], [[1, 1]], [[3, 1]], [[30, 3]], [[30, 4]], [[80, 1]]):
                await two.ask("scan", headers=headers)
            for group in (20, 21, 30, 40):
                for variation in (1, 2, 3, 4, 5, 6):
                    await two.ask("scan", headers=[[group, variation]])
            for master in (one, two):
                await master.ask("events")
                await master.ask("integrity")
        raw = await Peer.connect(PORT + 3)
        await raw.ask(POLL, source=2)
        raw.close()
    frames, faults = await asyncio.to_thread(dissected, capture, PORT + 3)

    assert frames > 40
    assert faults == []
