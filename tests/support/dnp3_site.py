"""The DNP3 outstation of a synthetic site, its worker and the foreign masters that ask it."""

import asyncio
import contextlib
import json
import os
import ssl
import struct
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import msgspec

from bridge.config.ledger import Ledger
from bridge.core.point import Kind, PointDef
from bridge.core.ports import Projected, SiteFacts
from bridge.projections.dnp3.mapping import Mapping, project
from bridge.projections.dnp3.objects import PointType
from bridge.projections.dnp3.plan import Plan
from bridge.workers.worker import WorkerSpec
from tests.support.dnp3_master import fragments, link
from tests.support.modbus_site import value_of
from tests.support.workers import ROOT

SERVER = "bridge.projections.dnp3.server"
Rows = dict[tuple[str, int], list[Any]]


def mapping(port: int = 0, /, **more: object) -> Mapping:
    return msgspec.convert({"listener": {"port": port}, **more}, Mapping)


def projected(facts: SiteFacts, port: int = 0, /, **more: object) -> Projected:
    return project(mapping(port, **more), facts, Ledger())


def spec_of(facts: SiteFacts, port: int, state_dir: str = "", /, **more: object) -> WorkerSpec:
    made = projected(facts, port, **more)
    return WorkerSpec("dnp3", SERVER, msgspec.msgpack.encode(made.plan), made.needs, state_dir)


class Opendnp3:
    """A running opendnp3 master."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, do: str, **more: object) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"do": do, **more}).encode() + b"\n")
        async with asyncio.timeout(40):
            line = await stdout.readline()
        assert line, "the master ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def started(self) -> dict[str, Any]:
        """Wait until the start-up poll is done; return its answer."""
        answer = await self.ask("startup", seconds=15)
        assert answer["result"] == ["SUCCESS"]
        return answer


@contextlib.asynccontextmanager
async def opendnp3(port: int, master: int = 1, outstation: int = 10, **more: object) -> AsyncIterator[Opendnp3]:
    """Start a master; more: unsolicited, time, offset_ms."""
    wanted = json.dumps({"port": port, "master": master, "outstation": outstation, **more})
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.dnp3_opendnp3",
        wanted,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 26,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
    )
    try:
        yield Opendnp3(process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def by_point(answer: dict[str, Any]) -> Rows:
    """Return the last row of every group, variation and index: value, flags, time, quality of the time."""
    return {(row[0], row[1]): row[2:] for row in answer["rows"]}


def expected(plan: Plan, facts: SiteFacts) -> dict[tuple[PointType, int], object]:
    """Return what a master must read of every point, from the site's values and nothing of the server's."""
    points = {definition.index: definition for definition in facts.points}
    return {
        (place.type, place.number): _told(points[place.index], place.type is PointType.COUNTER) for place in plan.points
    }


def _told(definition: PointDef, counter: bool) -> object:
    value = value_of(definition)
    match definition.kind:
        case Kind.ACCUMULATOR if counter:
            return int(value) % 2**32
        case Kind.ACCUMULATOR:
            return float(Decimal(value).scaleb(definition.resolution))
        case Kind.TIME:
            return float(int(value) // 1_000_000)
        case Kind.TEXT:
            return str(value).encode().hex()
        case Kind.BINARY:
            return bool(value)
        case _:
            return float(value)


def as_float32(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


# Group of a point's static object.
STATIC = {
    "Group1": PointType.BINARY_INPUT,
    "Group3": PointType.DOUBLE_BIT,
    "Group10": PointType.BINARY_OUTPUT,
    "Group20": PointType.COUNTER,
    "Group30": PointType.ANALOG_INPUT,
    "Group40": PointType.ANALOG_OUTPUT,
    "Group110": PointType.OCTET_STRING,
}


def static_values(answer: dict[str, Any]) -> dict[tuple[PointType, int], list[Any]]:
    """Return value and flags of every static object but frozen counters."""
    found: dict[tuple[PointType, int], list[Any]] = {}
    for name, index, value, flags, *_ in answer["rows"]:
        point_type = STATIC.get(name.partition("Var")[0])
        if point_type is not None:
            found[point_type, index] = [value, flags, name]
    return found


# An application request each: classes 1, 2, 3; analog input 0.
POLL = b"\xc0" + bytes.fromhex("c1013c02063c03063c0406")
CLASS_0 = b"\xc0" + bytes.fromhex("c1011e05000000")


class Peer:
    """A master made of bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port: int, context: ssl.SSLContext | None = None) -> "Peer":
        async with asyncio.timeout(5):
            return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context))

    async def ask(self, request: bytes, source: int = 1, wait_s: float = 2.0) -> list[bytes] | None:
        """Return the fragments that come back, none after `wait_s`; None when the connection is closed."""
        try:
            self.writer.write(link(request, source=source))
            async with asyncio.timeout(wait_s):
                data = await self.reader.read(65536)
        except TimeoutError:
            return []
        except OSError:
            return None
        return fragments([data]) if data else None

    async def ends_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self.reader.read() == b""
        except TimeoutError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        self.writer.close()
