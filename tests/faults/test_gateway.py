"""Many and bad clients of the real gateway worker, dead units, and a poller that must keep its half of the line"""

import asyncio
import contextlib
import statistics
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.field.channel import FieldChannel
from bridge.field.line import Use
from bridge.modbus.frame import read_pdu
from tests.support.gateway_site import Running, device, facts, gateway
from tests.support.guarded import Swarm
from tests.support.modbus_raw import RawClient
from tests.support.real_meter import prompt
from tests.support.workers import until

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(60)]
PORT = 28_030
SITE = facts(device("tenant-1", "riser", 11), device("tenant-2", "riser", 12), device("dead", "riser", 9))
CLIENTS = 32
# s; of the unit that never answers
DEAD_S = 0.3


class Meter:
    """Takes 4 ms for a reading; unit 9 is dead; address 9999 is refused. `asked`: by unit id."""

    def __init__(self) -> None:
        self.asked: Counter[int] = Counter()
        self.answered_at = 0.0

    def __call__(self, unit_id: int, pdu: bytes) -> tuple[float, bytes]:
        self.asked[unit_id] += 1
        if unit_id == 9:
            return 0.0, b""
        self.answered_at = asyncio.get_running_loop().time() + 0.004
        return 0.004, prompt(unit_id, pdu)[1]


async def poll(channel: FieldChannel, polled: list[float]) -> None:
    """A poller that always wants the line; `polled`: seconds each of its reads took."""
    loop = asyncio.get_running_loop()
    while True:
        begun = loop.time()
        await channel.ask(Use.POLL, "poller", 12, read_pdu(3, 0, 2), 1.0)
        polled.append(loop.time() - begun)


async def saturate(client: RawClient, number: int, served: Counter[int], ahead: int = 2) -> None:
    """Keep `ahead` requests under way, none like another's."""
    pdu = read_pdu(3, 100 * number, 2)
    for _ in range(ahead):
        client.send(11, pdu)
    while True:
        _, _, reply = await client.receive(20)
        assert reply == b"\x03\x04" + (100 * number).to_bytes(2, "big") + (100 * number + 1).to_bytes(2, "big")
        served[number] += 1
        client.send(11, pdu)


@contextlib.asynccontextmanager
async def crowd(port: int, count: int) -> AsyncIterator[list[RawClient]]:
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(await RawClient.connect(port)) for _ in range(count)]
        for client in clients:
            assert (await client.ask(255, b"\x2b\x0e\x01\x00"))[0] == 43
        yield clients


@contextlib.asynccontextmanager
async def busy(running: Running) -> AsyncIterator[list[float]]:
    polled: list[float] = []
    polling = asyncio.create_task(poll(running.channels["riser"], polled))
    try:
        yield polled
    finally:
        polling.cancel()
        await asyncio.wait([polling])


@pytest.mark.slow
async def test_32_saturating_clients_get_equal_shares_and_the_poller_keeps_half_of_the_line(tmp_path: Path) -> None:
    # G-01, BARS L1
    meter, served = Meter(), Counter[int]()
    async with (
        gateway(tmp_path, PORT, SITE, meter, cache_ms=0) as running,
        crowd(PORT, CLIENTS) as clients,
        busy(running) as polled,
    ):
        tasks = [asyncio.create_task(saturate(client, n, served)) for n, client in enumerate(clients)]
        await asyncio.sleep(1)
        served.clear()
        meter.asked.clear()
        polled.clear()
        await asyncio.sleep(8)
        shares, of_poller, of_clients = dict(served), meter.asked[12], meter.asked[11]
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)

    assert all(isinstance(end, asyncio.CancelledError) for end in ended)
    assert len(shares) == CLIENTS
    assert of_poller >= 0.48 * (of_poller + of_clients)
    assert max(shares.values()) - min(shares.values()) <= 2
    assert statistics.quantiles(polled, n=100)[98] < 0.1


async def test_identical_reads_of_all_clients_cost_one_exchange(tmp_path: Path) -> None:
    meter = Meter()
    async with gateway(tmp_path, PORT, SITE, meter) as running, crowd(PORT, CLIENTS) as clients:
        replies = await asyncio.gather(*(client.ask(11, read_pdu(3, 5, 2)) for client in clients))
        await until(lambda: running.counters()["joined"] + running.counters()["cached"] == CLIENTS - 1)

    assert set(replies) == {b"\x03\x04\0\5\0\6"}
    assert meter.asked[11] == 1


async def test_the_33rd_client_is_refused_and_the_32_stay(tmp_path: Path) -> None:
    # G-01, BARS L2
    async with gateway(tmp_path, PORT, SITE) as running, crowd(PORT, CLIENTS) as clients:
        with pytest.raises((OSError, EOFError)):
            async with asyncio.timeout(1), await RawClient.connect(PORT) as late:
                await late.ask(11, read_pdu(3, 5, 2))
        replies = await asyncio.gather(*(client.ask(11, read_pdu(3, 5, 2)) for client in clients))
        await until(lambda: running.counters()["refused_full"] == 1)

    assert set(replies) == {b"\x03\x04\0\5\0\6"}


async def test_a_dead_unit_costs_the_others_its_own_time_out_and_ever_less(tmp_path: Path) -> None:
    meter, waits = Meter(), list[float]()
    loop = asyncio.get_running_loop()

    async def stubborn(client: RawClient, codes: list[bytes]) -> None:
        while True:
            codes.append(await client.ask(9, read_pdu(3, 0, 2), 20))
            await asyncio.sleep(0.02)

    async with gateway(tmp_path, PORT, SITE, meter, timeout_s=DEAD_S, cache_ms=0), crowd(PORT, 5) as clients:
        codes = list[bytes]()
        asking = [asyncio.create_task(stubborn(client, codes)) for client in clients[1:]]
        end = loop.time() + 4
        while loop.time() < end:
            begun = loop.time()
            assert (await clients[0].ask(11, read_pdu(3, 5, 2)))[0] == 3
            waits.append(loop.time() - begun)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    assert set(codes) == {b"\x83\x0b"}
    # 0.5, 1, 2 s of rest between three questions
    assert meter.asked[9] <= 4
    assert max(waits) < DEAD_S + 0.15
    assert statistics.median(waits) < 0.05


async def test_an_exception_of_the_device_is_passed_on_at_once(tmp_path: Path) -> None:
    meter, late = Meter(), list[float]()
    loop = asyncio.get_running_loop()
    async with gateway(tmp_path, PORT, SITE, meter) as running, await RawClient.connect(running.port) as client:
        for _ in range(30):
            assert await client.ask(11, read_pdu(3, 9999, 1)) == b"\x83\x02"
            late.append(loop.time() - meter.answered_at)
            await asyncio.sleep(0.02)

    assert statistics.median(late) < 0.02
    assert statistics.quantiles(late, n=20)[18] < 0.05


async def test_a_client_is_served_at_once_among_300_attackers(tmp_path: Path) -> None:
    # BARS R4, X-15
    loop, took = asyncio.get_running_loop(), list[float]()
    async with gateway(tmp_path, PORT, SITE) as running, await RawClient.connect(running.port) as client:
        swarm = Swarm(PORT)
        with contextlib.closing(swarm):
            swarm.attack(300, bytes.fromhex("0007000000060b03"))
            for _ in range(40):
                swarm.drip()
                begun = loop.time()
                assert (await client.ask(11, read_pdu(3, 5, 2)))[0] == 3
                took.append(loop.time() - begun)
                await asyncio.sleep(0.02)
            begun = loop.time()
            async with await RawClient.connect(PORT) as another:
                assert (await another.ask(11, read_pdu(3, 5, 2)))[0] == 3
            took.append(loop.time() - begun)

    assert max(took) < 1


async def test_a_client_that_leaves_takes_its_requests_with_it(tmp_path: Path) -> None:
    meter = Meter()
    async with gateway(tmp_path, PORT, SITE, meter, cache_ms=0) as running:
        async with await RawClient.connect(running.port) as client:
            for n in range(16):
                client.send(11, read_pdu(3, n, 1))
            await client.writer.drain()
            client.writer.transport.abort()
        await asyncio.sleep(0.2)
        asked = meter.asked[11]
        async with await RawClient.connect(running.port) as another:
            assert (await another.ask(11, read_pdu(3, 5, 2)))[0] == 3

    assert asked < 16


async def test_a_client_that_sends_on_while_it_does_not_read_is_bounded(tmp_path: Path) -> None:
    async with (
        gateway(tmp_path, PORT, SITE, cache_ms=10_000) as running,
        await RawClient.connect(running.port) as deaf,
        await RawClient.connect(running.port) as client,
    ):
        deaf.reader._transport.pause_reading()  # type: ignore[attr-defined]
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(2):
                while True:
                    for n in range(100):
                        deaf.send(11, read_pdu(3, n, 125))
                    await deaf.writer.drain()
        assert (await client.ask(11, read_pdu(3, 5, 2)))[0] == 3
        await until(lambda: "bytes_out" in running.counters())
        assert running.counters()["bytes_out"] < 16_000_000
        deaf.writer.transport.abort()


async def test_clients_of_a_line_that_is_leased_are_told_that_it_is_busy(tmp_path: Path) -> None:
    async with gateway(tmp_path, PORT, SITE) as running, await RawClient.connect(running.port) as client:
        async with running.channels["riser"].lease():
            assert await client.ask(11, read_pdu(3, 5, 2)) == b"\x83\x06"
        await asyncio.sleep(0.6)
        assert (await client.ask(11, read_pdu(3, 5, 2)))[0] == 3
