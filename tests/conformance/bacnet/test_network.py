"""Normal, foreign and BBMD mode: who hears what, who is refused, and what a second device with our number causes"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from rusty_bacnet import BACnetClient, Bbmd, ForeignDevice

from tests.support.bacnet_client import Client, confirmed, object_id, read, unicast
from tests.support.bacnet_site import DEVICE_ID, asked, served, site
from tests.support.workers import ROOT, spare_ports

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(60)]
FACTS = site(1)
WHO_IS = b"\x01\x20\xff\xff\x00\xff\x10\x08"
REGISTER = b"\x81\x05\x00\x06\x00\x3c"
DISTRIBUTE = b"\x81\x09" + (4 + len(WHO_IS)).to_bytes(2, "big") + WHO_IS
HERE = Path(__file__).parent


class FakeBbmd(asyncio.DatagramProtocol):
    """Takes registrations; `came`: BVLC function and octets after the header, with the peer."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[tuple[int, bytes, tuple[str, int]]] = asyncio.Queue()
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.came.put_nowait((data[1], data[4:], addr))
        if data[1] == 0x05:
            self.send(b"\x81\x00\x00\x06\x00\x00", addr)

    def send(self, datagram: bytes, addr: tuple[str, int]) -> None:
        assert self.transport is not None
        self.transport.sendto(datagram, addr)

    async def next(self, function: int) -> tuple[bytes, tuple[str, int]]:
        async with asyncio.timeout(15):
            while True:
                came, octets, addr = await self.came.get()
                if came == function:
                    return octets, addr


@asynccontextmanager
async def fake_bbmd() -> AsyncIterator[tuple[FakeBbmd, int]]:
    bbmd = FakeBbmd()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: bbmd, local_addr=("127.0.0.1", 0))
    try:
        yield bbmd, transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
        await asyncio.sleep(0)


def foreign(port: int) -> dict[str, object]:
    return {"mode": "foreign", "bbmd": "127.0.0.1", "bbmd_port": port, "ttl_s": 10}


# B-07
async def test_a_foreign_device_registers_announces_itself_and_answers_what_the_bbmd_forwards() -> None:
    async with fake_bbmd() as (bbmd, port), served(FACTS, network=foreign(port)) as it:
        ttl, addr = await bbmd.next(0x05)
        announced, _ = await bbmd.next(0x09)
        asker = bytes((127, 0, 0, 1)) + port.to_bytes(2, "big")
        bbmd.send(b"\x81\x04\x00\x12" + asker + WHO_IS, addr)
        answer, _ = await bbmd.next(0x0A)

    assert ttl == b"\x00\x0a"
    assert addr[1] == it.server.port
    assert b"\x10\x00\xc4" + object_id(8, DEVICE_ID) in announced
    assert b"\x10\x00\xc4" + object_id(8, DEVICE_ID) in answer


@pytest.mark.slow
# B-07
async def test_a_registration_is_renewed_before_it_ends() -> None:
    async with fake_bbmd() as (bbmd, port), served(FACTS, network=foreign(port)):
        await bbmd.next(0x05)
        again, _ = await bbmd.next(0x05)

    assert again == b"\x00\x0a"


# B-08
async def test_a_foreign_client_finds_the_device_through_our_bbmd() -> None:
    async with served(FACTS, network={"mode": "bbmd"}) as it:
        at = f"127.0.0.1:{it.server.port}"
        client = BACnetClient(interface="127.0.0.1", port=0, foreign_device=ForeignDevice(at, ttl=60))
        async with client:
            found = await client.discover(1500)

    assert [device.object_identifier.instance for device in found] == [DEVICE_ID]


async def test_our_foreign_device_is_found_through_another_makers_bbmd() -> None:
    port = spare_ports(1)
    bbmd = Bbmd(accept_foreign_devices=True, alone_on_subnet=True)
    client = BACnetClient(interface="127.0.0.1", port=port, broadcast_address="127.255.255.255", bbmd=bbmd)
    async with client, served(FACTS, network=foreign(port)):
        found: list[int] = []
        async with asyncio.timeout(20):
            while not found:
                found = [device.object_identifier.instance for device in await client.discover(700)]

    assert found == [DEVICE_ID]


# B-08: one datagram of a stranger must not become many
async def test_a_bbmd_distributes_for_nobody_who_has_not_registered() -> None:
    async with asked(FACTS, network={"mode": "bbmd"}) as (it, stranger), Client.open(it.server.port) as member:
        refused = await stranger.call_raw(DISTRIBUTE)
        registered = await member.call_raw(REGISTER)
        async with Client.open(it.server.port) as other:
            await other.call_raw(REGISTER)
            other.send(DISTRIBUTE)
            async with asyncio.timeout(3):
                forwarded = await member.raw.get()

    assert refused == b"\x81\x00\x00\x06\x00\x60"
    assert registered == b"\x81\x00\x00\x06\x00\x00"
    assert forwarded[:2] == b"\x81\x04"
    assert forwarded.endswith(WHO_IS)


async def test_a_bbmd_takes_no_more_registrations_than_it_has_room_for() -> None:
    async with served(FACTS, network={"mode": "bbmd", "most_foreign": 2}) as it:
        replies, again = [], b""
        for _ in range(3):
            async with Client.open(it.server.port) as client:
                replies.append(await client.call_raw(REGISTER))
                again = await client.call_raw(REGISTER)

    assert [reply[-1] for reply in replies] == [0, 0, 0x30]
    assert again[-1] == 0x30


async def test_nobody_writes_the_table_of_a_bbmd_or_deletes_anothers_registration() -> None:
    async with asked(FACTS, network={"mode": "bbmd"}) as (it, member), Client.open(it.server.port) as stranger:
        await member.call_raw(REGISTER)
        assert member.transport is not None
        port = member.transport.get_extra_info("sockname")[1]
        written = await stranger.call_raw(b"\x81\x01\x00\x0e\x7f\x00\x00\x01\xba\xc0\xff\xff\xff\xff")
        deleted = await stranger.call_raw(b"\x81\x08\x00\x0a\x7f\x00\x00\x01" + port.to_bytes(2, "big"))
        own = await member.call_raw(b"\x81\x08\x00\x0a\x7f\x00\x00\x01" + port.to_bytes(2, "big"))

    assert written[-1] == 0x10
    assert deleted[-1] == 0x50
    assert own[-1] == 0


@pytest.mark.parametrize("mode", ["normal", "foreign"])
async def test_a_device_that_is_no_bbmd_says_so(mode: str) -> None:
    network = {"mode": "normal"} if mode == "normal" else foreign(1)
    async with asked(FACTS, network=network) as (_, client):
        reply = await client.call_raw(REGISTER)

    assert reply == b"\x81\x00\x00\x06\x00\x30"


async def test_a_second_device_with_our_number_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with asked(FACTS) as (it, client):
        i_am = b"\xc4" + object_id(8, DEVICE_ID) + b"\x22\x05\xc4\x91\x03\x21\x05"
        client.send(unicast(b"\x01\x00\x10\x00" + i_am))
        client.send(unicast(b"\x01\x00\x10\x00" + b"\xc4" + object_id(8, 5) + i_am[5:]))
        alive = await client.call(confirmed(1, 12, read(8, DEVICE_ID, 75)))

    assert alive[0] == 0x30
    assert it.counters["device_id_conflicts"] == 1
    assert f"device_id_conflict device={DEVICE_ID} peer=127.0.0.1:" in caplog.text


# an address of another machine, and a port somebody has: the log of the worker names both
async def test_an_address_that_cannot_be_had_is_named() -> None:
    async with served(FACTS) as it:
        taken = {"bind": "127.0.0.1", "port": it.server.port}
        with pytest.raises(OSError, match=rf"127\.0\.0\.1 port {it.server.port}: Address already in use"):
            async with served(FACTS, listener=taken):
                pass
    with pytest.raises(OSError, match=r"203\.0\.113\.7 port 47808: Cannot assign requested address"):
        async with served(FACTS, listener={"bind": "203.0.113.7", "port": 47808}):
            pass


@pytest.fixture
def two_machines() -> Iterator[tuple[str, str]]:
    """Two network namespaces on one subnet: 10.47.8.1/24 and 10.47.8.2/24."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and iproute2")
    names = (f"bac{os.getpid()}a", f"bac{os.getpid()}b")

    def ip(*words: str) -> None:
        subprocess.run(("ip", *words), check=True, capture_output=True, timeout=10)

    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", f"v{os.getpid()}", "netns", names[0], "type", "veth", "peer", "name", "v1", "netns", names[1])
        for number, (name, link) in enumerate(((names[0], f"v{os.getpid()}"), (names[1], "v1")), 1):
            ip("-n", name, "addr", "add", f"10.47.8.{number}/24", "broadcast", "10.47.8.255", "dev", link)
            ip("-n", name, "link", "set", link, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield names
    except subprocess.CalledProcessError as exc:
        pytest.skip(f"no network namespaces: {exc.stderr.decode().strip()}")
    finally:
        for name in names:
            subprocess.run(("ip", "netns", "del", name), check=False, capture_output=True, timeout=10)


@pytest.mark.slow
@pytest.mark.parametrize("bind", ["10.47.8.1", "0.0.0.0"])
# B-04
def test_a_broadcast_on_the_subnet_finds_the_device(two_machines: tuple[str, str], bind: str) -> None:
    here, there = two_machines
    wanted = {"listener": {"port": 47808, "bind": bind}}
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}

    def inside(name: str, script: str, *words: str) -> list[str]:
        return ["ip", "netns", "exec", name, sys.executable, str(HERE / script), *words]

    server = subprocess.Popen(
        inside(here, "serve.py", json.dumps(wanted)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    try:
        assert server.stdout is not None
        ready = server.stdout.readline()
        command = inside(there, "discover.py", "10.47.8.2", "10.47.8.255", "47808")
        found = subprocess.run(command, check=True, capture_output=True, timeout=20, env=environment).stdout
        out, _ = server.communicate("", timeout=10)
    finally:
        server.kill()
        server.wait()

    assert json.loads(ready) == {"port": 47808}
    assert json.loads(found) == [DEVICE_ID]
    # it heard its own announcement and took it for its own
    assert json.loads(out.splitlines()[-1])["device_id_conflicts"] == 0
