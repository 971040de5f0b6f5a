"""
BARS L1, L3 and L4 on the whole demo: every face under load by clients of other makes, for minutes or hours.

`make soak` runs the long ones: METERBRIDGE_SOAK_MINUTES (30) for the load, METERBRIDGE_SOAK_HOURS (8) for the slope.
`make test` runs the same load for METERBRIDGE_LOAD_S (60) seconds.
"""

import asyncio
import csv
import io
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.demo import Demo, environment, running_demo
from tests.support.dnp3_site import opendnp3
from tests.support.tower import running_tower

pytestmark = [pytest.mark.real_time]
PORT_BASE = 26_000
LOAD_S = float(os.environ.get("METERBRIDGE_LOAD_S", "60"))
SOAK_S = 60 * float(os.environ.get("METERBRIDGE_SOAK_MINUTES", "30"))
SLOPE_S = 3600 * float(os.environ.get("METERBRIDGE_SOAK_HOURS", "8"))
# until every curve stands still in every face: slowest poll class of the demo, and a little
SETTLED_S = 15.0
# before the window begins: connections are made, caches filled
WARM_S = 10.0
# METERBRIDGE-MIB, below the enterprise number: the value of every point
VALUES = "1.1.3.1.4"


@dataclass(frozen=True)
class Usage:
    """The whole bridge: CPU seconds so far, resident bytes, descriptors and threads of all its processes."""

    cpu_s: float
    rss: int
    descriptors: int
    threads: int


def bridge_of(demo: Demo) -> list[psutil.Process]:
    """The core and its workers; the simulator is no part of the product."""
    children = psutil.Process(demo.process.pid).children(recursive=True)
    return [psutil.Process(demo.process.pid), *(p for p in children if "bridge.host.main" in p.cmdline())]


def usage(processes: list[psutil.Process]) -> Usage:
    cpu = [process.cpu_times() for process in processes]
    return Usage(
        sum(one.user + one.system for one in cpu),
        sum(process.memory_info().rss for process in processes),
        sum(process.num_fds() for process in processes),
        sum(process.num_threads() for process in processes),
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("load"), PORT_BASE) as running:
        running.pin_everything()
        time.sleep(SETTLED_S)
        yield running


def exported(demo: Demo, what: str, file: str) -> list[dict[str, str]]:
    out = demo.folder / "pack"
    done = demo.bridge("export", what, str(demo.site), "--out", str(out))
    assert done.returncode == 0, done.stderr
    text = (out / file).read_text()
    return list(csv.DictReader(io.StringIO(text)))


def bacnet_object(demo: Demo) -> tuple[int, int]:
    """Type and instance of the billed index of the main incomer, from the EDE file."""
    out = demo.folder / "pack"
    done = demo.bridge("export", "ede", str(demo.site), "--out", str(out))
    assert done.returncode == 0, done.stderr
    lines = (out / "bacnet-EDE.csv").read_text().splitlines()
    head = next(at for at, line in enumerate(lines) if "object-instance" in line)
    rows = csv.reader(lines[head:], delimiter=";")
    names = next(rows)
    row = next(dict(zip(names, r, strict=False)) for r in rows if "main.active_energy_import" in r)
    return int(row["object-type"]), int(row["object-instance"])


def crowd(demo: Demo, seconds: float) -> dict[str, list[str]]:
    """Return the words of every client process."""
    port = {name: str(server["port"]) for name, server in demo.ready["servers"].items()}
    energy = "main.active_energy_import"
    rows = exported(demo, "modbus-map", "modbus-registers.csv")
    register = next(r for r in rows if r["point"] == energy and r["type"] == "int64" and r["unit_id"] != "255")
    # what the meter sends and stands still; demands the bridge makes of it do not
    points = sorted(f"main.{name}" for name in demo.points()["main"])[:60]
    own = {"unit": int(register["unit_id"]), "address": int(register["address"]), "registers": 4}
    # the same index in the meter itself, by the meter's own unit id
    meter = {"unit": 100, "address": 3203, "registers": 4}
    wanted: dict[str, tuple[str, int, object]] = {
        "modbus": ("gateway", 8, own),
        "gateway": ("gateway", 32, meter),
        "iec61850": ("mms", 5, {}),
        "opcua": ("opcua", 10, {"points": points}),
        "bacnet": ("bacnet", 20, {"object": bacnet_object(demo)}),
        "snmp": ("snmp", 1, {"column": f".{demo.server('snmp')['enterprise_oid']}.{VALUES}"}),
    }
    return {
        name: [kind, port[name], str(count), str(seconds), json.dumps(more)]
        for name, (kind, count, more) in wanted.items()
    }


@contextmanager
def clients(words: dict[str, list[str]]) -> Iterator[dict[str, subprocess.Popen[str]]]:
    started = {
        name: subprocess.Popen(
            [sys.executable, "-m", "tests.soak.clients", *command],
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        for name, command in words.items()
    }
    try:
        yield started
    finally:
        for process in started.values():
            if process.poll() is None:
                process.kill()
            process.wait()


async def masters(port: int, seconds: float) -> list[dict[str, Any]]:
    """Three opendnp3 masters that poll everything once a second."""

    async def one(address: int) -> dict[str, Any]:
        async with opendnp3(port, master=address) as master:
            await master.started()
            results, objects = set[str](), set[int]()
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                answer = await master.ask("poll", headers=[[60, 1]], count=10, idle_s=1.0)
                results |= set(answer["result"])
                objects.add(answer["objects"])
            return {"results": results, "objects": objects}

    return list(await asyncio.gather(*(one(address) for address in (1, 2, 3))))


def load(demo: Demo, seconds: float) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]], Usage, Usage, float]:
    """Return what each kind of client saw, what the masters saw, the bridge before and after, the seconds between."""
    processes = bridge_of(demo)
    with clients(crowd(demo, seconds + WARM_S)) as started:

        async def watch() -> tuple[list[dict[str, Any]], Usage, Usage, float]:
            polling = asyncio.create_task(masters(demo.server("dnp3")["port"], seconds + WARM_S - 5))
            await asyncio.sleep(WARM_S)
            before, begun = usage(processes), time.monotonic()
            await asyncio.sleep(seconds - 2)
            after, took_s = usage(processes), time.monotonic() - begun
            return await polling, before, after, took_s

        seen, before, after, took_s = asyncio.run(watch())
        told = {name: json.loads(process.communicate(timeout=60)[0]) for name, process in started.items()}
    return told, seen, before, after, took_s


def tell(capsys: pytest.CaptureFixture[str], **figures: object) -> None:
    """Figures are for a person, whether the test passes or not."""
    with capsys.disabled():
        sys.stdout.write(f"\n{json.dumps(figures)}\n")


def sound(told: dict[str, dict[str, Any]], seen: list[dict[str, Any]], seconds: float) -> None:
    """No disconnect and no wrong value, and every client was served all the time."""
    assert {name: (one["errors"], one["wrong"], one["examples"]) for name, one in told.items()} == {
        name: (0, 0, []) for name in told
    }
    assert told["gateway"]["answers"] > 32 * seconds * 0.3
    assert told["iec61850"]["answers"] > 5 * seconds * 0.3
    assert told["opcua"]["answers"] > 10 * seconds * 0.3
    assert told["bacnet"]["answers"] > 20 * seconds * 0.3
    assert told["snmp"]["answers"] > 5
    assert told["snmp"]["rows"] > 250
    assert [one["results"] for one in seen] == [{"SUCCESS"}] * 3
    assert len(set.union(*(one["objects"] for one in seen))) == 1


# BARS L1: its shape; nothing here depends on how busy the machine is
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_face_under_load_loses_nobody_and_tells_nothing_wrong(demo: Demo) -> None:
    told, seen, before, after, took_s = load(demo, LOAD_S)

    sound(told, seen, LOAD_S)
    assert (after.cpu_s - before.cpu_s) / took_s <= 1.2
    assert after.rss <= before.rss * 1.05
    assert "Traceback" not in demo.log.read_text()


# BARS L1
@pytest.mark.soak
def test_half_an_hour_of_load_is_answered_within_100_ms(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    told, seen, before, after, took_s = load(demo, SOAK_S)
    tell(capsys, told=told, cpu=(after.cpu_s - before.cpu_s) / took_s, rss=(before.rss, after.rss))

    sound(told, seen, SOAK_S)
    assert (after.cpu_s - before.cpu_s) / took_s <= 1.2
    assert after.rss <= before.rss * 1.05
    assert {n: t["p99_ms"] for n, t in told.items() if n not in ("gateway", "snmp") and t["p99_ms"] > 100} == {}


@contextmanager
def flood(address: tuple[str, int], data: bytes) -> Iterator[None]:
    """Send the same datagram as fast as one process can."""
    code = (
        "import socket,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
        f"s.connect({address!r})\nd=bytes.fromhex({data.hex()!r})\n"
        "while True:\n try: s.send(d)\n except OSError: pass\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        yield
    finally:
        process.kill()
        process.wait()


# RFC 3416 GetRequest of sysUpTime.0, v2c, community public
SNMP_GET = bytes.fromhex(
    "302602010104067075626c6963a01902010102010002010030 0e300c06082b060102010103000500".replace(" ", "")
)


# BARS L3
@pytest.mark.soak
def test_a_flood_of_one_protocol_leaves_the_others_their_time(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    """Modbus answers are timed beside a flood of SNMP requests, one of them after the other."""
    at = demo.server("modbus")
    took_ms = []
    with ExitStack() as stack:
        server = demo.server("snmp")
        stack.enter_context(flood((server["host"], server["port"]), SNMP_GET))
        sock = stack.enter_context(socket.create_connection((at["host"], at["port"]), timeout=5))
        end = time.monotonic() + 30
        while time.monotonic() < end:
            begun = time.perf_counter()
            sock.sendall(bytes.fromhex("000100000006ff0300000002"))
            assert len(sock.recv(300)) > 8
            took_ms.append((time.perf_counter() - begun) * 1e3)
            time.sleep(0.01)
    tell(capsys, p99_ms=statistics.quantiles(took_ms, n=100)[98], answers=len(took_ms))

    assert statistics.quantiles(took_ms, n=100)[98] <= 10


# BARS L4
@pytest.mark.soak
def test_hours_of_load_cost_no_memory_and_no_descriptor(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    processes, rows = bridge_of(demo), list[Usage]()
    with clients(crowd(demo, SLOPE_S)):
        time.sleep(min(300.0, SLOPE_S / 5))
        end = time.monotonic() + SLOPE_S * 0.7
        times = []
        while time.monotonic() < end:
            rows.append(usage(processes))
            times.append(time.monotonic() / 3600)
            time.sleep(min(60.0, SLOPE_S / 100))
    slope, _ = statistics.linear_regression(times, [row.rss / 1e6 for row in rows])
    tell(capsys, mb_per_hour=slope, rss_mb=rows[-1].rss / 1e6, looks=len(rows))

    assert slope <= 2
    assert max(row.descriptors for row in rows[-5:]) <= max(row.descriptors for row in rows[:5])
    assert max(row.threads for row in rows[-5:]) <= max(row.threads for row in rows[:5])


# BARS L5
@pytest.mark.soak
def test_the_tower_answers_on_every_protocol_in_seconds_and_in_little_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pages that processes share count once (PSS): what the machine has to have."""
    with running_tower(tmp_path, PORT_BASE + 50) as tower:
        time.sleep(10)
        core = psutil.Process(tower.process.pid)
        memory = [p.memory_full_info() for p in (core, *core.children(recursive=True))]
    pss_mb, rss_mb = (sum(getattr(one, kind) for one in memory) / 1e6 for kind in ("pss", "rss"))
    tell(capsys, ready_s=tower.ready_s, pss_mb=pss_mb, rss_mb=rss_mb)

    assert tower.ready_s <= 5
    assert pss_mb <= 400
