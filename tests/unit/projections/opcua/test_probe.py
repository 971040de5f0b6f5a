"""The probe's own small client against answers that are none."""

import asyncio

import pytest

from bridge.core.errors import ProjectionError
from bridge.core.listener import Listener
from bridge.projections.opcua import probe

pytestmark = pytest.mark.real_time


async def asked(answers: list[bytes]) -> None:
    """Ask a server that says these, one after the other, whatever it is asked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.read(4096)
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        await probe.ask(Listener(port=0), server.sockets[0].getsockname()[1])


@pytest.mark.parametrize(
    "answers",
    [
        [b"ERRF\x10\0\0\0" + bytes(8)],
        [b"ACKF\x1c\0\0\0" + bytes(20), b"ERRF\x10\0\0\0" + bytes(8)],
        [b"ACKF\x1c\0\0\0" + bytes(20), b"OPNF\x10\0\0\0" + bytes(8)],
        [b"ACKF\xff\xff\xff\x7f"],
    ],
)
async def test_another_answer_than_endpoints_is_a_fault(answers: list[bytes]) -> None:
    with pytest.raises(ProjectionError):
        await asked(answers)


async def test_a_listener_that_hangs_up_is_a_fault() -> None:
    with pytest.raises((EOFError, ConnectionError)):
        await asked([])
