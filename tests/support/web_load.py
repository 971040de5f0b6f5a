"""Browsers on the console of a tower (100 meters of 80 points), and what its process spends on them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil

from bridge.core.point import Kind, Sample
from bridge.core.quality import Quality
from tests.support.web_site import Console, console

METERS, ANALOGS = 100, tuple(f"thd_voltage_x{number}" for number in range(69))
# What a browser asks for besides the page itself
_PARTS = ("/static/style.css", "/static/app.js", "/static/icon.svg")


@dataclass(frozen=True, slots=True)
class Load:
    """`cpu`: share of a core. `grown`: bytes of memory. `messages`: server-sent events that came."""

    cpu: float
    grown: int
    messages: int


@asynccontextmanager
async def tower(folder: str) -> AsyncIterator[Console]:
    async with console(folder, meters=METERS, analogs=ANALOGS) as web:
        yield web


async def loaded(web: Console, browsers: int, warm_s: float, measured_s: float) -> Load:
    """Let every measurement change once a second, and `browsers` look: half at a meter, some at points and overview."""
    process, seen = psutil.Process(web.pid), [0]
    tasks = [asyncio.ensure_future(_change(web))]
    tasks += [asyncio.ensure_future(_browser(web, number, seen)) for number in range(browsers)]
    await asyncio.sleep(warm_s)
    before, rss, had = process.cpu_times(), process.memory_info().rss, seen[0]
    began = time.monotonic()
    await asyncio.sleep(measured_s)
    after, took_s = process.cpu_times(), time.monotonic() - began
    grown = process.memory_info().rss - rss
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks)
    cpu = (after.user + after.system - before.user - before.system) / took_s
    return Load(cpu, grown, seen[0] - had)


async def first_page(web: Console) -> tuple[int, float]:
    """Return bytes and seconds of a first visit: handshake, page and everything it needs."""
    began = time.monotonic()
    async with web.client() as browser:
        page = await browser.get("/")
        parts = await asyncio.gather(*(browser.get(path) for path in _PARTS))
    size = sum(len(answer.content) + len(str(answer.headers)) for answer in (page, *parts))
    assert page.status_code == 200
    return size, time.monotonic() - began


async def _change(web: Console) -> None:
    analogs = [definition.index for definition in web.facts.points if definition.kind is Kind.ANALOG]
    for number in range(1_000_000):
        part = analogs[number % 10 :: 10]
        now_ns = time.time_ns()
        web.store.publish([(index, Sample(float(number), Quality.GOOD, now_ns, number)) for index in part])
        await asyncio.sleep(0.1)


async def _browser(web: Console, number: int, seen: list[int]) -> None:
    """Of ten, five look at a meter, two at a page of points, three at the overview."""
    path = f"/live?device=m{number + 1}" if number % 10 < 5 else "/live?search=&offset=200"
    async with web.client() as browser:
        if number % 10 >= 7:
            while True:
                await browser.get("/", headers={"X-Fragment": "1"})
                await asyncio.sleep(2)
        async with browser.stream("GET", path) as stream:
            async for line in stream.aiter_lines():
                seen[0] += line.startswith("data: ")
