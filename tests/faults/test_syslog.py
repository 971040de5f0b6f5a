"""services.syslog_sender against test sockets and a real rsyslogd."""

import asyncio
import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.config.syslog_keys import Carrier
from bridge.core.clock import SystemClock
from bridge.core.event import EventKind
from bridge.services.events import EventLog
from bridge.services.syslog_sender import SyslogSender, SyslogServer
from tests.support.certificates import Authority
from tests.support.workers import until

_TEMPLATE = "|".join(
    f"%{field}%"
    for field in ("pri", "timereported:::date-rfc3339", "hostname", "app-name", "msgid", "structured-data", "msg\\n")
).replace("\\n%", "%\\n")
pytestmark = pytest.mark.real_time


class Bench:
    def __init__(self, server: SyslogServer) -> None:
        self.events = EventLog(SystemClock())
        self.changes: list[str] = []
        self.sender = SyslogSender(server, self.events, 0, self.changes.append)
        self.events.subscribe(self.sender.wake)
        self.task = asyncio.ensure_future(self.sender.run())

    def happen(self, *texts: str) -> None:
        for text in texts:
            self.events.record(EventKind.SYSTEM, 64, text)

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])
        # a transport closes itself with the next turn of the loop
        await asyncio.sleep(0.02)


class Receiver(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.got: list[bytes] = []

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.got.append(data)


class StreamServer:
    """Takes octet-counted messages; can be closed and opened again at the same port."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.got: list[bytes] = []
        self.port = 0
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()
        await asyncio.sleep(0.05)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length = int(await reader.readuntil(b" "))
                self.got.append(await reader.readexactly(length))


def server(port: int, carrier: Carrier = Carrier.UDP, trust: ssl.SSLContext | None = None) -> SyslogServer:
    return SyslogServer("127.0.0.1", carrier, port, 16, "tower", trust, "localhost" if trust else "")


def texts(messages: list[bytes]) -> list[str]:
    return [message.decode().rpartition("] ")[2] for message in messages]


@contextlib.asynccontextmanager
async def sending(to: SyslogServer) -> AsyncIterator[Bench]:
    bench = Bench(to)
    try:
        yield bench
    finally:
        await bench.close()


async def test_every_event_is_one_datagram() -> None:
    #
    loop = asyncio.get_running_loop()
    transport, receiver = await loop.create_datagram_endpoint(Receiver, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    async with sending(server(port)) as bench:
        bench.happen("one", "two")
        await until(lambda: len(receiver.got) == 2)

    assert texts(receiver.got) == ["one", "two"]
    transport.close()
    await asyncio.sleep(0)


async def test_events_of_before_the_connection_are_sent_too() -> None:
    stream = StreamServer()
    await stream.open()
    async with sending(server(stream.port, Carrier.TCP)) as bench:
        bench.happen(*(f"{n}" for n in range(500)))
        await until(lambda: len(stream.got) == 500)

    assert texts(stream.got) == [f"{n}" for n in range(500)]
    await stream.close()


async def test_while_the_server_is_away_events_wait_and_one_change_is_told() -> None:
    stream = StreamServer()
    await stream.open()
    async with sending(server(stream.port, Carrier.TCP)) as bench:
        bench.happen("before")
        await until(lambda: len(stream.got) == 1)
        await stream.close()
        bench.happen("while", "away")
        await until(lambda: len(bench.changes) == 1)
        await stream.open()
        await until(lambda: len(stream.got) == 3, timeout_s=20)

    assert texts(stream.got) == ["before", "while", "away"]
    assert bench.changes[0] != ""
    assert bench.changes[1:] == [""]
    await stream.close()


async def test_a_server_that_never_was_there_stops_nobody() -> None:
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))
    async with sending(server(closed.getsockname()[1], Carrier.TCP)) as bench:
        bench.happen("one")
        await until(lambda: len(bench.changes) == 1)
        bench.happen("two")

    assert bench.sender.sent == 0
    closed.close()


async def test_over_tls_only_a_server_with_the_right_certificate_gets_anything(tmp_path: Path) -> None:
    # BARS S5
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "other ca")
    for issuer, expected in ((authority, ["one"]), (stranger, [])):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*issuer.issue("localhost"))
        stream = StreamServer(context)
        await stream.open()
        trust = ssl.create_default_context(cafile=str(authority.file))
        to = SyslogServer("127.0.0.1", Carrier.TLS, stream.port, 16, "tower", trust)
        async with sending(to) as bench:
            bench.happen("one")
            await until(lambda: bool(stream.got or bench.changes))  # noqa: B023 - used within the turn

        assert texts(stream.got) == expected
        await stream.close()


@dataclass(frozen=True)
class Rsyslog:
    """A real rsyslogd that writes RFC 5424 into `out`. `trust`: for TLS."""

    port: int
    out: Path
    carrier: Carrier
    trust: ssl.SSLContext | None

    def server(self) -> SyslogServer:
        return server(self.port, self.carrier, self.trust)

    def lines(self) -> list[str]:
        return self.out.read_text().splitlines() if self.out.exists() else []


_INPUTS = {
    Carrier.UDP: 'module(load="imudp")\ninput(type="imudp" address="127.0.0.1" port="{port}")',
    Carrier.TCP: 'module(load="imtcp")\ninput(type="imtcp" address="127.0.0.1" port="{port}")',
    Carrier.TLS: """global(defaultNetstreamDriver="ossl" defaultNetstreamDriverCAFile="{ca}"
 defaultNetstreamDriverCertFile="{certificate}" defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" streamdriver.name="ossl" streamdriver.mode="1" streamdriver.authmode="anon")
input(type="imtcp" address="127.0.0.1" port="{port}")""",
}


@contextlib.contextmanager
def rsyslogd(folder: Path, carrier: Carrier) -> Iterator[Rsyslog]:
    program = shutil.which("rsyslogd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("no rsyslogd")
    if carrier is Carrier.TLS and not any(Path("/usr/lib").glob("*/rsyslog/lmnsd_ossl.so")):
        pytest.skip("no rsyslog-openssl")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if carrier is Carrier.UDP else socket.SOCK_STREAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    authority = Authority(folder)
    certificate, key = authority.issue("localhost")
    config, out = folder / "rsyslog.conf", folder / "out.log"
    places = {"port": port, "ca": authority.file, "certificate": certificate, "key": key}
    config.write_text(
        f"""{_INPUTS[carrier].format(**places)}
template(name="all" type="string" string="{_TEMPLATE}")
action(type="omfile" file="{out}" template="all")
"""
    )
    with (folder / "rsyslogd.log").open("wb") as said:
        process = subprocess.Popen(
            [program, "-n", "-f", str(config), "-i", str(folder / "pid")], stdout=said, stderr=said
        )
    trust = ssl.create_default_context(cafile=str(authority.file)) if carrier is Carrier.TLS else None
    try:
        yield Rsyslog(port, out, carrier, trust)
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.slow
@pytest.mark.parametrize("carrier", [Carrier.UDP, Carrier.TCP, Carrier.TLS])
async def test_a_real_rsyslogd_understands_every_field(tmp_path: Path, carrier: Carrier) -> None:
    # A-18 A-19, BARS S6
    with rsyslogd(tmp_path, carrier) as daemon:
        async with sending(daemon.server()) as bench:
            # over UDP nobody is told that nobody listens yet
            while not daemon.lines():
                bench.happen("is anybody there?")
                await asyncio.sleep(0.2)
            asked = bench.events.last
            bench.events.record(EventKind.ALARM_START, 200, 'case "open"]', device="flat-1", user="anna")
            bench.happen("détecté")
            await until(lambda: any("détecté" in line for line in daemon.lines()))

        first, second = (line.split("|") for line in daemon.lines()[-2:])

    assert first[0] == str(16 * 8 + 2)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first[1])
    assert first[2:5] == ["tower", "meterbridge", "alarm_start"]
    assert first[5] == f'[event@32473 number="{asked + 1}" priority="200" device="flat-1" user="anna"]'
    assert first[6].strip() == 'case "open"]'
    assert second[6].replace("\ufeff", "").strip() == "détecté"


@pytest.mark.slow
@pytest.mark.parametrize("carrier", [Carrier.TCP, Carrier.TLS])
async def test_a_real_rsyslogd_gets_a_burst_in_order_and_each_event_once(tmp_path: Path, carrier: Carrier) -> None:
    #
    with rsyslogd(tmp_path, carrier) as daemon:
        await until(lambda: _answers(daemon.port))
        async with sending(daemon.server()) as bench:
            bench.happen(*(f"n{n}" for n in range(1, 501)))
            await until(lambda: len(daemon.lines()) >= 500, timeout_s=20)

    assert [line.rpartition("|")[2].strip() for line in daemon.lines()] == [f"n{n}" for n in range(1, 501)]


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
