"""bridge.control: a real Unix socket, a blocking client in a thread, the server in the loop."""

import asyncio
import os
import pwd
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.control.client import ControlClient
from bridge.control.protocol import CALLER, SOCKET_NAME, ControlError
from bridge.control.server import MAX_CLIENTS, ControlServer

pytestmark = pytest.mark.real_time


async def echo(arguments: dict[str, Any]) -> Any:
    return {key: value for key, value in arguments.items() if key != CALLER}


async def who(arguments: dict[str, Any]) -> Any:
    return arguments[CALLER]


async def refuse(arguments: dict[str, Any]) -> Any:
    raise ControlError(f"expected a point, found {arguments['point']}")


async def count(arguments: dict[str, Any]) -> AsyncIterator[int]:
    for number in range(arguments["upto"]):
        yield number


async def forever(arguments: dict[str, Any]) -> AsyncIterator[int]:
    del arguments
    while True:
        await asyncio.sleep(3600)
        yield 0


async def ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read(1) == b""
    except ConnectionError:
        return True


@pytest.fixture
async def state_dir(tmp_path: Path) -> AsyncIterator[Path]:
    server = ControlServer(tmp_path, {"echo": echo, "who": who, "refuse": refuse}, {"count": count, "forever": forever})
    await server.start()
    yield tmp_path
    await server.stop()


def ask(state_dir: Path, do: str, **arguments: Any) -> Any:
    with ControlClient(state_dir, timeout_s=5) as client:
        return client.ask(do, **arguments)


async def test_an_answer_comes_back(state_dir: Path) -> None:
    assert await asyncio.to_thread(ask, state_dir, "echo", a=[1, "x"]) == {"a": [1, "x"]}


async def test_the_bridge_knows_from_the_kernel_who_asks(state_dir: Path) -> None:
    answer = await asyncio.to_thread(ask, state_dir, "who", caller="somebody else")

    assert answer == pwd.getpwuid(os.getuid()).pw_name


async def test_a_refusal_is_told_in_words(state_dir: Path) -> None:
    with pytest.raises(ControlError, match="expected a point, found nonsense"):
        await asyncio.to_thread(ask, state_dir, "refuse", point="nonsense")


async def test_an_unknown_request_names_the_known_ones(state_dir: Path) -> None:
    with pytest.raises(ControlError, match="expected one of echo, refuse, who, found dance"):
        await asyncio.to_thread(ask, state_dir, "dance")


async def test_a_stream_ends_with_its_source(state_dir: Path) -> None:
    def listen() -> list[Any]:
        with ControlClient(state_dir, timeout_s=5) as client:
            return list(client.stream("count", upto=3))

    assert await asyncio.to_thread(listen) == [0, 1, 2]


async def test_a_request_after_a_stream_is_answered(state_dir: Path) -> None:
    def both() -> tuple[list[Any], Any]:
        with ControlClient(state_dir, timeout_s=5) as client:
            return list(client.stream("count", upto=2)), client.ask("echo", a=1)

    assert await asyncio.to_thread(both) == ([0, 1], {"a": 1})


async def test_a_stream_ends_when_its_client_goes(state_dir: Path) -> None:
    def leave() -> None:
        client = ControlClient(state_dir, timeout_s=5)
        client._send("forever", {})
        client.__exit__()

    await asyncio.to_thread(leave)

    assert await asyncio.to_thread(ask, state_dir, "echo", b=1) == {"b": 1}


async def test_only_the_owner_may_open_the_socket(state_dir: Path) -> None:
    assert stat.S_IMODE((state_dir / SOCKET_NAME).stat().st_mode) == 0o600


async def test_a_second_bridge_on_one_state_directory_is_refused(state_dir: Path) -> None:
    with pytest.raises(ControlError, match="another bridge"):
        await ControlServer(state_dir, {}, {}).start()


async def test_a_dead_socket_file_is_taken_over(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / SOCKET_NAME))
    server = ControlServer(tmp_path, {"echo": echo}, {})

    await server.start()

    assert await asyncio.to_thread(ask, tmp_path, "echo") == {}
    await server.stop()


@pytest.mark.parametrize("data", [b"\n", b"{}\n", b"\xff\xfe\n", b'{"id":1,"do":"echo","with":[]}\n', b"x" * (2 << 20)])
async def test_garbage_ends_its_own_connection_only(state_dir: Path, data: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(str(state_dir / SOCKET_NAME))
    writer.write(data)

    async with asyncio.timeout(5):
        left = await ended(reader)

    assert left
    assert await asyncio.to_thread(ask, state_dir, "echo", c=2) == {"c": 2}
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_more_clients_than_allowed_are_turned_away(state_dir: Path) -> None:
    kept = [await asyncio.open_unix_connection(str(state_dir / SOCKET_NAME)) for _ in range(MAX_CLIENTS)]
    await asyncio.sleep(0.05)

    with pytest.raises(ControlError, match=r"went away|no answer"):
        await asyncio.to_thread(ask, state_dir, "echo")

    for _, writer in kept:
        writer.close()
        await writer.wait_closed()


def test_no_bridge_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="no bridge runs with the state directory"):
        ControlClient(tmp_path)
