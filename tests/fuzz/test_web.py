"""
The console under mutated requests: alive, no server error, no leak, no flood of log lines, nothing written.

METERBRIDGE_FUZZ_FRAMES sets how many (default 20,000; nightly 1,000,000).
"""

import asyncio
import contextlib
import os
import random
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.web_site import Console, console

FRAMES = int(os.environ.get("METERBRIDGE_FUZZ_FRAMES", "20000"))
pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.fuzz, pytest.mark.timeout(180 + FRAMES // 50)]
SEED = 20_261_120
PER_PROBE = 500
# s that half a request is waited for
HALF_S = 0.002
# BARS I1
MOST_HANG_S, MOST_GROWTH, MOST_LOG = 3.0, 10 << 20, 1 << 20
_HEAD = "Host: localhost\r\nConnection: close\r\n"
# mostly what is answered without a page: a page takes some ms and the same few templates
_PATHS = (
    *("/livez", "/static/app.js", "/static/..%2fserver.py", "/healthz", "/nothing", "/export/x", "/live?point=x") * 5,
    *("/api/v1/points?limit=2&search=power", "/api/v1/points/m1.x", "/api/v1/events?after=1&kind=system") * 5,
    *(
        "/api/v1/points/m1.active_power_total/history?after=0",
        "/api/v1/alarms?state=active",
        "/energy/m1.x.csv?day=2026-01-01",
    )
    * 3,
    *("/trends?point=m1.active_power_total&begin=2026-01-01T00:00:00&end=2026-01-02T00:00:00", "/setup", "/meters/m1"),
    *("/?lang=fr&theme=dark", "/points?search=a&offset=20", "/energy/m1.active_energy_import?day=2026-03-31"),
)
_FORMS = (
    "/login|token=x&user=anna&password=y",
    "/logout|token=x",
    "/alarms/1/acknowledge|token=x",
    "/points/m1.x/command|token=x&value=1&sure=1",
    "/access/users|token=x&action=add&name=a&role=viewer&password=b",
    "/access/certificate|token=x&certificate=c&key=k",
    "/configuration/reload|token=x",
)


def requests(random_: random.Random, count: int) -> Iterator[bytes]:
    for _ in range(count):
        if random_.random() < 0.8:
            path, cookie = random_.choice(_PATHS), "Cookie: lang=fr; meterbridge=x\r\nX-Fragment: 1"
            text = f"GET {path} HTTP/1.1\r\n{_HEAD}{cookie}\r\n\r\n"
        else:
            path, _, body = random_.choice(_FORMS).partition("|")
            kind = "application/x-www-form-urlencoded"
            text = f"POST {path} HTTP/1.1\r\n{_HEAD}Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        yield mutated(random_, bytearray(text.encode()))


def mutated(random_: random.Random, data: bytearray) -> bytes:
    for _ in range(random_.choice((0, 1, 1, 2, 4, 8))):
        at = random_.randrange(len(data))
        match random_.randrange(6):
            case 0:
                data[at] ^= 1 << random_.randrange(8)
            case 1:
                data[at : at + 1] = random_.choice(
                    (b"%00", b"\r\n", b"\x00", b"%ff", b"..", b"=", b"&", b";", b"%2f", b"99999999")
                )
            case 2:
                del data[at : at + random_.randrange(1, 20)]
            case 3:
                data[at:at] = random_.randbytes(random_.randrange(1, 200))
            case 4:
                data[at:at] = data[:at][-60:]
            case _:
                del data[at + 1 :]
        if not data:
            return b"\r\n\r\n"
    return bytes(data)


class Attack:
    def __init__(self, port: int) -> None:
        self._port = port
        self.statuses: dict[bytes, int] = {}
        self.longest_s = 0.0

    def run(self, frames: int) -> None:
        for number, request in enumerate(requests(random.Random(SEED), frames)):
            self._send(request)
            if number % PER_PROBE == 0:
                begun = time.perf_counter()
                with socket.create_connection(("127.0.0.1", self._port), timeout=10) as sock:
                    sock.sendall(f"GET /livez HTTP/1.1\r\n{_HEAD}\r\n".encode())
                    assert sock.recv(64).startswith(b"HTTP/1.1 204")
                self.longest_s = max(self.longest_s, time.perf_counter() - begun)

    def _send(self, request: bytes) -> None:
        head = b""
        # a connection may be reset at any moment: by its request it has deserved it
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=5) as sock:
            sock.sendall(request)
            whole = b"\r\n\r\n" in request and request.count(b"Content-Length") == 0
            sock.settimeout(0.2 if whole else HALF_S)
            head = sock.recv(65_536)
        found = re.match(rb"HTTP/1\.1 (\d\d\d)", head)
        status = found[1] if found else b"none"
        self.statuses[status] = self.statuses.get(status, 0) + 1


# BARS I1 S7
async def test_mutated_requests_find_it_alive_and_change_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with console(str(tmp_path), certificate="none") as web:
        port = httpx.URL(web.url).port
        assert port is not None
        attack, process = Attack(port), psutil.Process(web.pid)
        # what grows once: code paths, caches, buffers
        await asyncio.to_thread(attack.run, 3000)
        before, descriptors, values = process.memory_info().rss, process.num_fds(), _values(web)
        await asyncio.to_thread(attack.run, FRAMES)
        async with asyncio.timeout(20):
            while process.num_fds() > descriptors:  # noqa: ASYNC110 - another process has no event for us
                await asyncio.sleep(0.2)
        grown = process.memory_info().rss - before
        ordered, after = list(web.core.ordered), _values(web)
        health = (await web.https.get("/healthz")).status_code
        alive = process.is_running() and process.pid == web.pid
    log = capfd.readouterr().err

    assert alive
    assert health == 200
    assert {status for status in attack.statuses if status.startswith(b"5")} <= {b"503"}
    assert attack.statuses[b"200"] > FRAMES / 20
    assert attack.longest_s < MOST_HANG_S
    assert grown < MOST_GROWTH
    assert len(log) < MOST_LOG
    assert "page_failed" not in log
    assert (ordered, after) == ([], values)


def _values(web: Console) -> list[object]:
    return [web.store.get(definition.index) for definition in web.facts.points]
