"""BARS L1 for the gateway: 32 clients that never stop, for half an hour (METERBRIDGE_SOAK_S: seconds)."""

import asyncio
import os
import statistics
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.test_gateway import CLIENTS, SITE, Meter, busy, crowd, saturate
from tests.support.gateway_site import gateway
from tests.support.modbus_raw import RawClient
from tests.support.workers import status

pytestmark = [pytest.mark.real_time, pytest.mark.soak]
PORT = 28_035
LASTS_S = float(os.environ.get("METERBRIDGE_SOAK_S", "1800"))
_PAGE = os.sysconf("SC_PAGE_SIZE")
# identification of the bridge itself: an answer that needs no line
OWN = b"\x2b\x0e\x01\x00"


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def cpu_s(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def test_32_clients_that_never_stop_are_all_served_and_nothing_grows(tmp_path: Path) -> None:
    # BARS L1, L4
    meter, served, own = Meter(), Counter[int](), list[float]()
    loop = asyncio.get_running_loop()
    async with (
        gateway(tmp_path, PORT, SITE, meter, cache_ms=0, listener={"port": PORT, "max_clients": CLIENTS}) as running,
        crowd(PORT, CLIENTS - 1) as clients,
        await RawClient.connect(PORT) as asking,
        busy(running) as polled,
    ):
        tasks = [asyncio.create_task(saturate(client, n, served)) for n, client in enumerate(clients)]
        pid = status(running.supervisor, "gateway").pid
        sizes, before, begun = list[int](), 0, loop.time()
        while loop.time() < begun + LASTS_S:
            at = loop.time()
            assert (await asking.ask(255, OWN))[0] == 43
            own.append(loop.time() - at)
            await asyncio.sleep(0.25)
            sizes.append(resident(pid))
            before = before or descriptors(pid)
            del polled[:-1000]
        lasted, after, used = loop.time() - begun, descriptors(pid), cpu_s(pid)
        ended = [task for task in tasks if task.done()]
        shares = dict(served)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    assert ended == []
    assert len(shares) == CLIENTS - 1
    assert max(shares.values()) - min(shares.values()) <= 2
    assert meter.asked[12] >= 0.48 * meter.asked.total()
    # the answer that needs no line; the client shares the machine with all of the others
    assert statistics.quantiles(own, n=100)[98] <= 0.1
    third = len(sizes) // 3
    assert statistics.median(sizes[-third:]) <= 1.05 * statistics.median(sizes[third : 2 * third])
    assert after == before
    assert used <= 1.2 * lasted
