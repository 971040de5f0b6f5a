"""A BACnet/IP client without a stack, for tests: bytes in, bytes out, with faults on purpose."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self, cast

LIMIT_NIBBLE = {50: 0, 128: 1, 206: 2, 480: 3, 1024: 4, 1476: 5}
Address = tuple[str, int]


def object_id(kind: int, instance: int) -> bytes:
    return struct.pack(">I", kind << 22 | instance)


def unicast(npdu: bytes) -> bytes:
    return b"\x81\x0a" + struct.pack(">H", 4 + len(npdu)) + npdu


def confirmed(
    invoke_id: int,
    service: int,
    body: bytes,
    *,
    limit: int = 1476,
    segments: int = 7,
    route: bytes = b"",
    flags: int = 2,
) -> bytes:
    npdu = b"\x01\x24" + route + b"\xff" if route else b"\x01\x04"
    return unicast(npdu + bytes((flags, segments << 4 | LIMIT_NIBBLE[limit], invoke_id, service)) + body)


def unconfirmed(service: int, body: bytes) -> bytes:
    return unicast(b"\x01\x00\x10" + bytes((service,)) + body)


def octets(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")


def tagged(tag: int, value: int) -> bytes:
    """A context-tagged Unsigned."""
    return bytes((tag << 4 | 8 | len(octets(value)),)) + octets(value)


def read(kind: int, instance: int, prop: int, index: int | None = None) -> bytes:
    body = b"\x0c" + object_id(kind, instance) + tagged(1, prop)
    return body if index is None else body + tagged(2, index)


def read_many(kind: int, instance: int, *properties: int) -> bytes:
    return b"\x0c" + object_id(kind, instance) + b"\x1e" + b"".join(tagged(0, p) for p in properties) + b"\x1f"


def write(kind: int, instance: int, prop: int, value: bytes, priority: int | None = None) -> bytes:
    body = b"\x0c" + object_id(kind, instance) + tagged(1, prop) + b"\x3e" + value + b"\x3f"
    return body if priority is None else body + tagged(4, priority)


def write_many(kind: int, instance: int, prop: int, value: bytes) -> bytes:
    return b"\x0c" + object_id(kind, instance) + b"\x1e" + tagged(0, prop) + b"\x2e" + value + b"\x2f\x1f"


def subscribe(
    process: int, kind: int, instance: int, *, is_confirmed: bool | None = False, lifetime_s: int | None = 60
) -> bytes:
    body = tagged(0, process) + b"\x1c" + object_id(kind, instance)
    if is_confirmed is not None:
        body += bytes((0x29, is_confirmed))
    if lifetime_s is not None:
        body += tagged(3, lifetime_s)
    return body


def subscribe_property(process: int, kind: int, instance: int, prop: int, increment: float | None = None) -> bytes:
    body = (
        tagged(0, process) + b"\x1c" + object_id(kind, instance) + b"\x29\x00\x39\x3c\x4e" + tagged(0, prop) + b"\x4f"
    )
    return body if increment is None else body + b"\x5c" + struct.pack(">f", increment)


def value_of(reply: bytes) -> bytes:
    """The property value octets of a ReadProperty ACK."""
    assert reply[0] == 0x30, reply.hex()
    return reply[reply.index(b"\x3e", 10 if reply[8] == 0x19 else 11) + 1 : -1]


@dataclass
class Client(asyncio.DatagramProtocol):
    """`received`: APDUs in the order they came."""

    server: Address
    transport: asyncio.DatagramTransport | None = None
    received: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    raw: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)

    @classmethod
    @asynccontextmanager
    async def open(cls, port: int) -> AsyncIterator[Self]:
        client = cls(("127.0.0.1", port))
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: client, local_addr=("127.0.0.1", 0))
        try:
            yield client
        finally:
            assert client.transport is not None
            client.transport.close()
            # the socket is closed in the next turn of the loop
            await asyncio.sleep(0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own is no subclass of asyncio.DatagramTransport
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        del addr
        self.raw.put_nowait(data)
        if data[1] not in (0x0A, 0x0B):
            return
        control = data[5]
        start = 6
        if control & 0x20:
            start += 3 + data[start + 2]
        if control & 0x08:
            start += 3 + data[start + 2]
        if control & 0x20:
            start += 1
        self.received.put_nowait(data[start:])

    def send(self, datagram: bytes) -> None:
        assert self.transport is not None
        self.transport.sendto(datagram, self.server)

    async def receive(self, timeout_s: float = 3.0) -> bytes:
        """Return one APDU, or b"" when none came."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self.received.get()
        except TimeoutError:
            return b""

    async def drain(self, quiet_s: float = 0.1) -> list[bytes]:
        found = []
        while apdu := await self.receive(quiet_s):
            found.append(apdu)
        return found

    async def call(self, datagram: bytes, timeout_s: float = 3.0) -> bytes:
        self.forget()
        self.send(datagram)
        return await self.receive(timeout_s)

    async def call_raw(self, datagram: bytes) -> bytes:
        self.forget()
        self.send(datagram)
        async with asyncio.timeout(3):
            return await self.raw.get()

    def forget(self) -> None:
        while not self.received.empty():
            self.received.get_nowait()
        while not self.raw.empty():
            self.raw.get_nowait()

    def acknowledge(self, invoke_id: int, sequence: int, window: int, *, negative: bool = False) -> None:
        self.send(unicast(b"\x01\x00" + bytes((0x42 if negative else 0x40, invoke_id, sequence, window))))


@dataclass
class Collected:
    """A reply put together: service data, sizes of the APDUs, how many came twice."""

    body: bytes
    sizes: list[int]
    repeats: int = 0


async def collect(
    client: Client,
    datagram: bytes,
    invoke_id: int,
    *,
    window: int = 4,
    lose_first_ack: bool = False,
    lose: frozenset[int] = frozenset(),
    give_up_s: float = 4.0,
) -> Collected:
    """Receive a segmented ComplexACK as clause 5.4.4.4 does. `lose`: segments whose first copy is thrown away."""
    client.forget()
    client.send(datagram)
    parts: list[bytes] = []
    out = Collected(b"", [])
    lost, skipped_ack, nak_sent, since = set(lose), not lose_first_ack, -1, 0
    while True:
        apdu = await client.receive(give_up_s)
        assert apdu, f"stalled after {len(parts)} segments"
        if apdu[1] != invoke_id:
            continue
        out.sizes.append(len(apdu))
        if not apdu[0] & 8:
            out.body = apdu[3:] if apdu[0] >> 4 == 3 else apdu
            return out
        sequence, proposed, more = apdu[2], apdu[3], apdu[0] & 4
        if sequence != len(parts) % 256 or len(parts) in lost:
            if len(parts) in lost and sequence == len(parts) % 256:
                lost.discard(len(parts))
            else:
                out.repeats += 1
                if nak_sent != len(parts):
                    client.acknowledge(invoke_id, (len(parts) - 1) % 256, window, negative=True)
                    nak_sent = len(parts)
            since = 0
            continue
        if not skipped_ack:
            skipped_ack, since = True, 0
            continue
        parts.append(apdu[5:])
        since += 1
        if not more or since >= min(window, proposed) or len(parts) == 1:
            client.acknowledge(invoke_id, sequence, window)
            since = 0
        if not more:
            out.body = b"".join(parts)
            return out


class Narrow(asyncio.DatagramProtocol):
    """
    Stands between a client of another maker and the server, and says in its requests that it takes no more than
    `limit` octets. `largest`: of the APDUs the server sent.
    """

    def __init__(self, server: Address, limit: int) -> None:
        self._server, self._nibble = server, LIMIT_NIBBLE[limit]
        self._client: Address = ("", 0)
        self._transport: asyncio.DatagramTransport | None = None
        self.largest = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, server: Address, limit: int) -> AsyncIterator[tuple[Self, str]]:
        """Yield the relay and its address."""
        relay = cls(server, limit)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: relay, local_addr=("127.0.0.1", 0)
        )
        try:
            yield relay, f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"
        finally:
            transport.close()
            await asyncio.sleep(0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        assert self._transport is not None
        if addr == self._server:
            self.largest = max(self.largest, len(data) - 6)
            self._transport.sendto(data, self._client)
            return
        self._client = addr
        # an unrouted confirmed request: its second octet holds segments and size
        if data[5] == 0x04 and data[6] >> 4 == 0:
            data = data[:7] + bytes((data[7] & 0xF0 | self._nibble,)) + data[8:]
        self._transport.sendto(data, self._server)
