"""bridge.workers with real child processes: what may happen to them and to the core"""

import asyncio
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import psutil
import pytest

from bridge.core.clock import SystemClock
from bridge.core.listener import Listener
from bridge.core.point import DeviceDef, Nominal, Wiring, keep_indexes
from bridge.core.store import PointStore
from bridge.workers.supervisor import Supervisor
from bridge.workers.worker import State, backoff_s
from tests.support.echo.mapping import Habit
from tests.support.guarded import Swarm
from tests.support.workers import (
    QUICK,
    ROOT,
    EchoClient,
    definition,
    echo,
    running,
    sample,
    spare_ports,
    status,
    until,
)

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(60)]
PORT = spare_ports(2)


def store_of(count: int) -> PointStore:
    store = PointStore([definition(i) for i in range(count)])
    store.publish([(i, sample(float(i))) for i in range(count)])
    return store


def name_of(index: int) -> str:
    return definition(index).id


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_snapshot_change_command_raw_exchange_and_stop() -> None:
    store = store_of(2500)
    before = descriptors()
    async with running(store, [echo("a", PORT, range(2500))]) as supervisor:
        client = await EchoClient.connect(PORT)
        assert await client.value("m31.p19") == 2499.0
        store.publish([(2499, sample(230.5))])
        await asyncio.sleep(0.1)
        assert await client.value("m31.p19") == 230.5
        assert await client.ask("SET m0.p1 77") == "done"
        assert store.get(1).value == 77.0
        assert await client.ask("RAW 01020304") == "040302"
        assert await client.ask("SET m0.p1 -1") == "timed_out"
        pid = status(supervisor, "a").pid
        await client.close()
        started = time.perf_counter()

    assert time.perf_counter() - started < 2
    assert not psutil.pid_exists(pid)
    assert descriptors() == before


async def test_a_stopped_worker_costs_bounded_memory_and_then_shows_the_newest_values() -> None:
    points, rate, batch, seconds = 10_000, 100_000, 1000, 5
    store = store_of(points)
    specs = [echo("stopped", PORT, range(points)), echo("other", PORT + 1, range(points))]
    async with running(store, specs, replace(QUICK, hung_s=30)) as supervisor:
        other, me = await EchoClient.connect(PORT + 1), psutil.Process()
        pid = status(supervisor, "stopped").pid
        os.kill(pid, signal.SIGSTOP)
        rss, started, sent, worst_s, most_behind = me.memory_info().rss, time.perf_counter(), 0, 0.0, 0
        while time.perf_counter() - started < seconds:
            at = sent % points
            store.publish([(at + i, sample(float(sent + i), seq=sent + i)) for i in range(batch)])
            sent += batch
            most_behind = max(most_behind, status(supervisor, "stopped").points_behind)
            if sent % 10_000 == 0:
                asked = time.perf_counter()
                await other.ask("GET m0.p0")
                worst_s = max(worst_s, time.perf_counter() - asked)
            await asyncio.sleep(max(started + sent / rate - time.perf_counter(), 0))
        grown = me.memory_info().rss - rss
        os.kill(pid, signal.SIGCONT)
        continued = time.perf_counter()
        client = await EchoClient.connect(PORT)
        newest = store.get(points - 1).value
        while await client.value(name_of(points - 1)) != newest:  # noqa: ASYNC110 - a process has no event
            await asyncio.sleep(0.005)
        caught_up_s = time.perf_counter() - continued
        values = [await client.value(name_of(i)) for i in range(0, points, 501)]
        await client.close()
        await other.close()

    print(f"sent {sent}, behind {most_behind}, core +{grown >> 10} kB, caught up in {caught_up_s:.3f} s")  # noqa: T201
    print(f"worst answer of the other {worst_s * 1000:.1f} ms")  # noqa: T201
    assert sent >= 0.9 * rate * seconds
    assert most_behind <= points
    assert grown < 8 << 20
    assert values == [store.get(i).value for i in range(0, points, 501)]


async def first_answer(port: int, name: str) -> float:
    """Of a worker that is coming back: what the dying one had accepted is reset, so ask again."""
    async with asyncio.timeout(5):
        while True:
            client = await EchoClient.connect(port)
            try:
                return await client.value(name)
            except (OSError, IndexError):
                await asyncio.sleep(0.005)
            finally:
                await client.close()


async def test_a_worker_killed_twenty_times_is_back_within_a_second_and_the_other_loses_nothing() -> None:
    store = store_of(100)
    specs = [echo("victim", PORT, range(100)), echo("other", PORT + 1, range(100))]
    back_s, answers, running_on = [], 0, True
    async with running(store, specs) as supervisor:
        before = descriptors()

        async def ask_on() -> None:
            nonlocal answers
            client = await EchoClient.connect(PORT + 1)
            while running_on:
                assert await client.value("m0.p7") == 7.0
                answers += 1
                await asyncio.sleep(0.002)
            await client.close()

        asking = asyncio.ensure_future(ask_on())
        for _ in range(20):
            os.kill(status(supervisor, "victim").pid, signal.SIGKILL)
            killed = time.perf_counter()
            await asyncio.sleep(0.02)
            assert await first_answer(PORT, "m0.p9") == 9.0
            back_s.append(time.perf_counter() - killed)
            await asyncio.sleep(0.3)
        running_on = False
        await asking
        victim = status(supervisor, "victim")
        zombies = [c.pid for c in psutil.Process().children() if c.status() == psutil.STATUS_ZOMBIE]
        after = descriptors()

    print(f"back in {min(back_s):.3f} to {max(back_s):.3f} s; the other gave {answers} answers")  # noqa: T201
    assert max(back_s) < 1
    assert (victim.starts, victim.last_end, zombies) == (21, "died, exit -9", [])
    assert after == before


async def test_children_end_when_the_core_is_killed() -> None:
    core = subprocess.Popen(  # noqa: ASYNC220 - a test
        [sys.executable, "-m", "tests.support.toy_core", str(PORT), str(PORT + 1)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
    )
    assert core.stdout is not None
    with core.stdout:
        pids = [int(word) for word in core.stdout.readline().split()]
    client = await EchoClient.connect(PORT)
    os.kill(core.pid, signal.SIGKILL)
    core.wait()
    killed = time.perf_counter()
    await asyncio.sleep(0.1)
    quality = (await client.ask("GET m0.p1")).split()[2]
    await until(lambda: not any(alive(pid) for pid in pids), timeout_s=5)
    gone_s = time.perf_counter() - killed
    await client.close()

    print(f"children gone after {gone_s:.3f} s")  # noqa: T201
    assert len(pids) == 2
    assert int(quality) & 6 == 6
    assert gone_s < 2


def alive(pid: int) -> bool:
    """An orphan may stay a zombie where nobody reaps, as in a container without an init."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_a_crash_loop_backs_off_and_shows_while_the_other_serves() -> None:
    store = store_of(10)
    specs = [echo("bad", PORT, range(10), Habit.CRASHES), echo("good", PORT + 1, range(10))]
    timing = replace(QUICK, backoff_first_s=0.01)
    async with running(store, specs, timing, wait_ready=False) as supervisor:
        await until(lambda: status(supervisor, "bad").crash_loop, timeout_s=20)
        bad, good = status(supervisor, "bad"), status(supervisor, "good")

    assert bad.last_end == "died, exit 1"
    assert (good.state, good.failures) == (State.READY, 0)
    assert [backoff_s(n, QUICK) for n in (1, 2, 3, 8, 9, 1000)] == [0.2, 0.4, 0.8, 25.6, 30, 30]


async def test_a_worker_that_is_never_ready_is_ended_and_tried_again() -> None:
    specs = [echo("slow", PORT, range(10), Habit.NEVER_READY)]
    async with running(store_of(10), specs, replace(QUICK, ready_s=0.6), wait_ready=False) as supervisor:
        await until(lambda: status(supervisor, "slow").starts == 2)
        slow = status(supervisor, "slow")

    assert slow.last_end.startswith("not ready after 0.6 s")
    assert slow.failures == 1


async def test_a_hung_worker_is_killed_and_replaced() -> None:
    timing = replace(QUICK, hung_s=0.6, term_s=0.2)
    async with running(store_of(10), [echo("hung", PORT, range(10))], timing) as supervisor:
        os.kill(status(supervisor, "hung").pid, signal.SIGSTOP)
        await until(lambda: status(supervisor, "hung").starts == 2)
        last_end = status(supervisor, "hung").last_end

    assert last_end == "silent for 0.6 s, exit -9"


async def test_a_core_that_was_blocked_does_not_blame_its_workers() -> None:
    timing = replace(QUICK, hung_s=0.6)
    async with running(store_of(10), [echo("good", PORT, range(10))], timing) as supervisor:
        await asyncio.sleep(0.3)
        time.sleep(1.5)  # noqa: ASYNC251 - the point of the test
        await asyncio.sleep(1)
        good = status(supervisor, "good")

    assert (good.starts, good.state) == (1, State.READY)


async def test_stop_ends_even_a_worker_that_is_stuck() -> None:
    specs = [echo("stuck", PORT, range(10), Habit.DEAF_TO_STOP), echo("good", PORT + 1, range(10))]
    async with running(store_of(10), specs) as supervisor:
        pids = [s.pid for s in supervisor.statuses()]
        started = time.perf_counter()
        supervisor.stop()
        await until(lambda: not any(alive(pid) for pid in pids))

    assert time.perf_counter() - started < 5


async def connections_after_reload(supervisor: Supervisor, store: PointStore, unit_of_1: str) -> list[str]:
    """Insert a meter before all others, change one unit; ask both workers over old connections."""
    clients = [await EchoClient.connect(PORT), await EchoClient.connect(PORT + 1)]
    new = [definition(0, "new.p0"), *(definition(i) for i in range(5)), definition(5, unit=unit_of_1)]
    new += [definition(i) for i in range(6, 10)]
    defs = keep_indexes(store.defs(), new)
    store.redefine(defs)
    index = {d.id: d.index for d in defs}
    supervisor.reload(
        [
            echo("a", PORT, [index[f"m0.p{i}"] for i in range(5)]),
            echo("b", PORT + 1, [index[f"m0.p{i}"] for i in range(5, 10)]),
        ]
    )
    store.publish([(index["m0.p3"], sample(33.0)), (index["new.p0"], sample(1.0))])
    await asyncio.sleep(0.2)
    answers = [await client.ask(f"GET m0.p{i}") for client, i in zip(clients, (3, 5), strict=True)]
    for client in clients:
        await client.close()
    return [" ".join(answer.split()[:2]) for answer in answers]


async def test_reload_keeps_the_connections_of_a_projection_whose_points_did_not_change() -> None:
    store = store_of(10)
    specs = [echo("a", PORT, range(5)), echo("b", PORT + 1, range(5, 10))]
    async with running(store, specs) as supervisor:
        kept = await connections_after_reload(supervisor, store, unit_of_1="V")
        assert kept == ["m0.p3 33.0", "m0.p5 5.0"]
        changed = await connections_after_reload(supervisor, store, unit_of_1="kV")
        await until(lambda: status(supervisor, "b").starts == 2 and status(supervisor, "b").pid > 0)
        a, b = status(supervisor, "a"), status(supervisor, "b")

    assert changed == ["m0.p3 33.0", ""]
    assert (a.starts, b.starts, b.failures, b.last_end) == (1, 2, 0, "reload")


async def test_a_device_with_a_new_label_gives_its_projection_a_new_process_and_no_other() -> None:
    store = store_of(160)
    device = DeviceDef("m0", "iem3000", "V", "M", "line", 1, False, Wiring.FOUR_WIRE, Nominal(), {}, "site.yaml:1")
    devices = [device, msgspec.structs.replace(device, id="m1")]
    store.redefine(store.defs(), devices)
    specs = [echo("a", PORT, range(80)), echo("b", PORT + 1, range(80, 160))]
    async with running(store, specs) as supervisor:
        client = await EchoClient.connect(PORT)
        assert await client.ask("STATE") == "m0"
        await client.close()
        store.redefine(store.defs(), [msgspec.structs.replace(device, labels={"tenant": "12"}), devices[1]])
        supervisor.reload(specs)
        await until(lambda: status(supervisor, "a").starts == 2 and supervisor.all_ready())
        starts = [s.starts for s in supervisor.statuses()]

    assert starts == [2, 1]


async def test_a_projection_is_ready_when_it_answers_and_what_it_may_write_is_its_own(tmp_path: Path) -> None:
    store, folder = store_of(10), tmp_path / "state" / "echo"
    heard: list[tuple[State, bool, int]] = []
    async with running(
        store,
        [echo("a", PORT, range(10), state_dir=str(folder))],
        on_status=lambda s: heard.append((s.state, s.answering, s.pid)),
    ) as supervisor:
        client = await EchoClient.connect(PORT)
        assert await client.ask("STATE") == str(folder)
        await until(lambda: status(supervisor, "a").counters.get("accepted") == 1)
        a, ready = status(supervisor, "a"), supervisor.all_ready()
        await client.close()

    assert folder.stat().st_mode & 0o777 == 0o700
    assert ready
    assert (a.counters["probe_ok"], a.counters["probe_failed"], a.counters["accepted"]) == (1, 0, 1)
    assert a.probe_age_s < 5
    assert heard[:2] == [(State.STARTING, False, a.pid), (State.READY, True, a.pid)]
    assert heard[-1] == (State.STOPPED, False, 0)


@pytest.mark.slow
async def test_a_listener_that_does_not_answer_any_more_gets_a_new_process() -> None:
    store = store_of(10)
    async with running(store, [echo("a", PORT, range(10), Habit.ANSWERS_ONCE)]) as supervisor:
        await until(lambda: status(supervisor, "a").starts == 2, timeout_s=30)
        last_end = status(supervisor, "a").last_end

    assert last_end == "died, exit 13"


async def test_what_a_callback_raises_is_counted_and_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    async with running(store_of(10), [echo("a", PORT, range(10), Habit.STUMBLES)]) as supervisor:
        for _ in range(20):
            client = await EchoClient.connect(PORT)
            assert await client.ask("SUM") == ""
            await client.close()
        client = await EchoClient.connect(PORT)
        assert await client.value("m0.p7") == 7.0
        await client.close()
        await until(lambda: status(supervisor, "a").counters.get("loop_errors") == 20)
        starts = status(supervisor, "a").starts
    lines = capfd.readouterr().err.splitlines()

    assert starts == 1
    assert len(lines) == 5
    assert all(line.startswith("error a bridge.host: loop_error") and "as told" in line for line in lines)


async def test_a_crash_is_one_line_in_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    async with running(store_of(10), [echo("bad", PORT, range(10), Habit.CRASHES)], wait_ready=False) as supervisor:
        await until(lambda: status(supervisor, "bad").starts == 2)
    lines = capfd.readouterr().err.splitlines()

    assert lines[0].startswith("critical bad bridge.host: projection_failed error=RuntimeError('as told') at main.py:")


async def test_a_worker_that_cannot_be_started_now_is_tried_again() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with running(store_of(10), [echo("a", PORT, range(10))], replace(QUICK, backoff_first_s=0.1)) as supervisor:
        before = descriptors()
        resource.setrlimit(resource.RLIMIT_NOFILE, (5, hard))
        try:
            os.kill(status(supervisor, "a").pid, signal.SIGKILL)
            await until(lambda: status(supervisor, "a").last_end.startswith("cannot start"))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await until(lambda: status(supervisor, "a").state is State.READY)
        last_end, after = status(supervisor, "a").last_end, descriptors()

    assert last_end == "cannot start: Too many open files"
    assert after == before


async def test_a_child_does_not_speak_to_the_service_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.setenv(name, "1")
    async with running(store_of(10), [echo("a", PORT, range(10))]) as supervisor:
        environment = psutil.Process(status(supervisor, "a").pid).environ()

    assert not environment.keys() & {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}


async def test_strangers_lock_nobody_out_of_a_projection() -> None:  # BARS R4
    listener = Listener(port=0, max_clients=4, first_message_s=1)
    worst_s = 0.0
    async with running(store_of(10), [echo("a", PORT, range(10), listener=listener)]) as supervisor:
        swarm = Swarm(PORT)
        for _ in range(5):
            swarm.attack(300, b"GET m0.")
            swarm.drip()
            begun = time.perf_counter()
            client = await EchoClient.connect(PORT)
            assert await client.value("m0.p7") == 7.0
            worst_s = max(worst_s, time.perf_counter() - begun)
            await client.close()
            await asyncio.sleep(0.4)
        swarm.close()
        a = status(supervisor, "a")
        fds = psutil.Process(a.pid).num_fds()

    print(f"served within {worst_s * 1000:.0f} ms; {a.counters}; {fds} descriptors")  # noqa: T201
    assert worst_s < 1
    assert a.starts == 1


async def test_eighty_thousand_points_are_there_after_a_start() -> None:
    store, clock = store_of(80_000), SystemClock()
    begun = clock.monotonic_ns()
    async with running(store, [echo("tower", PORT, range(80_000))]) as supervisor:
        client = await EchoClient.connect(PORT)
        assert await client.value("m999.p79") == 79_999.0
        took_s = (clock.monotonic_ns() - begun) / 1e9
        rss = psutil.Process(status(supervisor, "tower").pid).memory_info().rss
        await client.close()

    print(f"80,000 points: ready after {took_s:.2f} s, child {rss >> 20} MB")  # noqa: T201
    assert took_s < 10
