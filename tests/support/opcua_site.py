"""The synthetic site as OPC UA: plans for the worker, and node-opcua as a client one talks to in steps of JSON."""

import asyncio
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest

import bridge
from bridge.config.ledger import Ledger
from bridge.core.ports import Projected, SiteFacts
from bridge.projections.opcua.mapping import project
from bridge.projections.opcua.settings import Mapping as OpcuaMapping
from bridge.projections.opcua.standard import file_name
from bridge.workers.worker import WorkerSpec

SERVER = "bridge.projections.opcua.server"
CLIENT = Path(__file__).parents[1] / "conformance" / "opcua" / "client"
OPEN = {"no_security": "allowed", "anonymous": "allowed"}
# s, for one step of the client
PATIENCE_S = 20.0
needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (CLIENT / "node_modules").exists(),
    reason="node-opcua is not installed: tools/test_packages.sh",
)


@functools.cache
def namespace_0() -> Path:
    """Built once for all tests: it takes seconds."""
    path = Path(tempfile.mkdtemp()) / file_name()
    command = [sys.executable, "-m", "bridge.projections.opcua.standard", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(bridge.__file__).parents[1])}
    subprocess.run(command, check=True, env=environment)
    return path


def mapping(port: int = 0, /, **more: object) -> OpcuaMapping:
    listener = {"port": port, "max_clients": 64, **dict(more.pop("listener", {}))}  # type: ignore[call-overload]
    return msgspec.convert({"listener": listener, "security": OPEN, **more}, OpcuaMapping)


def projected(facts: SiteFacts, port: int = 0, /, **more: object) -> Projected:
    return project(mapping(port, **more), facts, Ledger())


def spec_of(facts: SiteFacts, port: int, state_dir: Path, /, **more: object) -> WorkerSpec:
    made = projected(facts, port, **more)
    state_dir.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(namespace_0(), state_dir / namespace_0().name)
    (state_dir / namespace_0().name).chmod(0o600)
    return WorkerSpec("opcua", SERVER, msgspec.msgpack.encode(made.plan), made.needs, str(state_dir))


def node_id(name: str) -> str:
    return f"ns=2;s={name}"


class NodeClient:
    """tests/conformance/opcua/client/client.js, one step after the other."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, folder: Path | None = None) -> Self:
        script = str(CLIENT / "client.js")
        pipe = asyncio.subprocess.PIPE
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder or "/tmp"), "CLIENT_PKI": str(folder)}
        return cls(
            await asyncio.create_subprocess_exec(
                shutil.which("node") or "node",
                script,
                stdin=pipe,
                stdout=pipe,
                stderr=asyncio.subprocess.DEVNULL,
                env=environment,
                limit=1 << 26,
            )
        )

    async def answer(self, do: str, **step: object) -> Mapping[str, Any]:
        """Return the whole answer of one step: `result` or `error`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **step}).encode() + b"\n")
        async with asyncio.timeout(PATIENCE_S):
            line = await self._process.stdout.readline()
        assert line, "the client has ended"
        found: Mapping[str, Any] = json.loads(line)
        return found

    async def ask(self, do: str, **step: object) -> Any:
        found = await self.answer(do, **step)
        assert "error" not in found, f"{do}: {found['error']}"
        return found["result"]

    async def connect(self, port: int, **more: object) -> None:
        await self.ask("connect", url=f"opc.tcp://127.0.0.1:{port}", **more)

    async def read(self, names: Sequence[str], **more: object) -> dict[str, Any]:
        found = await self.ask("read", nodeIds=[node_id(name) for name in names], **more)
        return {name: found[node_id(name)] for name in names}

    async def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def node_client(folder: Path | None = None) -> AsyncIterator[NodeClient]:
    client = await NodeClient.start(folder)
    try:
        yield client
    finally:
        await client.close()
