"""Ten browsers on a tower: the console's own CPU and memory. The figures are of its process alone."""

import asyncio
import contextlib
import time
from pathlib import Path

import psutil
import pytest

from bridge.core.point import Kind, Sample
from bridge.core.quality import Quality
from tests.support.web_site import Console, console

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(120)]
METERS, ANALOGS = 100, tuple(f"thd_voltage_x{number}" for number in range(69))
WARM_S, MEASURED_S = 4.0, 12.0


async def test_ten_browsers_on_a_tower_take_a_seventh_of_a_core_at_most_and_no_memory(tmp_path: Path) -> None:
    async with console(str(tmp_path), meters=METERS, analogs=ANALOGS) as web:
        process = psutil.Process(web.pid)
        tasks = [asyncio.ensure_future(_change(web)), *(asyncio.ensure_future(_browser(web, n)) for n in range(10))]
        await asyncio.sleep(WARM_S)
        before, rss = process.cpu_times(), process.memory_info().rss
        began = time.monotonic()
        await asyncio.sleep(MEASURED_S)
        after, took_s = process.cpu_times(), time.monotonic() - began
        grown = process.memory_info().rss - rss
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)

    assert len(web.facts.points) == 8000
    assert (after.user + after.system - before.user - before.system) / took_s <= 0.15
    assert grown < 4 << 20


async def _change(web: Console) -> None:
    """Every measurement once a second."""
    analogs = [definition.index for definition in web.facts.points if definition.kind is Kind.ANALOG]
    for number in range(10_000):
        part = analogs[number % 10 :: 10]
        now_ns = time.time_ns()
        web.store.publish([(index, Sample(float(number), Quality.GOOD, now_ns, number)) for index in part])
        await asyncio.sleep(0.1)


async def _browser(web: Console, number: int) -> None:
    """Five look at a meter, two at a page of points, three at the overview."""
    paths = {0: f"/live?device=m{number + 1}", 1: "/live?search=&offset=200"}
    async with web.client() as browser:
        if number >= 7:
            while True:
                await browser.get("/", headers={"X-Fragment": "1"})
                await asyncio.sleep(2)
        async with browser.stream("GET", paths[number // 5]) as stream:
            async for _ in stream.aiter_bytes():
                pass
