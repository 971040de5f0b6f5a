"""The bridge's end of the control socket."""

import asyncio
import os
import pwd
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from bridge.control.protocol import ANSWER_LIMIT, CALLER, REQUEST_LIMIT, SOCKET_NAME, Answer, ControlError, Request

# Connections at once; the command line needs one each.
MAX_CLIENTS = 16
# s; a client that does not read its answer is dropped
_WRITE_TIMEOUT_S = 10.0

Handler = Callable[[dict[str, Any]], Awaitable[Any]]
Stream = Callable[[dict[str, Any]], AsyncIterator[Any]]


class ControlServer:
    """Loop thread only. Handlers raise ControlError for what the caller should read; anything else is a bug."""

    def __init__(self, state_dir: Path, handlers: Mapping[str, Handler], streams: Mapping[str, Stream]) -> None:
        self._path = state_dir / SOCKET_NAME
        self._handlers, self._streams = handlers, streams
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    async def start(self) -> None:
        """Raises: ControlError when another bridge serves this state directory."""
        if await _answers(self._path):
            raise ControlError(f"another bridge runs with the state directory {self._path.parent}")
        self._path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, str(self._path), limit=REQUEST_LIMIT)
        finally:
            os.umask(before)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            self._path.unlink(missing_ok=True)
            for writer in self._clients:
                writer.close()
            # 3.11 reports a connection task that is cancelled as a fault: let each see its end of file
            while self._clients:
                await asyncio.wait([task for task in self._clients.values() if task is not None])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= MAX_CLIENTS:
            writer.close()
            return
        self._clients[writer] = asyncio.current_task()
        try:
            user = _user_of(writer)
            while line := await reader.readline():
                await self._answer(line, user, reader, writer)
        except (ConnectionError, TimeoutError, ValueError, msgspec.DecodeError):
            # gone, deaf, or no client of ours
            return
        finally:
            del self._clients[writer]
            writer.close()

    async def _answer(self, line: bytes, user: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = msgspec.json.decode(line, type=Request)
        request.arguments[CALLER] = user
        try:
            if request.do in self._streams:
                await self._stream(request, reader, writer)
                return
            handler = self._handlers.get(request.do)
            if handler is None:
                raise ControlError(f"expected one of {', '.join(sorted(self._handlers))}, found {request.do}")
            await _send(writer, Answer(request.id, await handler(request.arguments)))
        except ControlError as exc:
            await _send(writer, Answer(request.id, error=str(exc)))

    async def _stream(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Send items until the source ends or the client goes away."""
        source = self._streams[request.do](request.arguments)
        gone = asyncio.ensure_future(reader.read(1))
        try:
            while True:
                item = asyncio.ensure_future(anext(source, _END))
                await asyncio.wait((item, gone), return_when=asyncio.FIRST_COMPLETED)
                if not item.done():
                    item.cancel()
                    raise ConnectionError("the client is gone")
                if item.result() is _END:
                    await _send(writer, Answer(request.id))
                    return
                await _send(writer, Answer(request.id, item=item.result()))
        finally:
            gone.cancel()
            # the next request is read only when nobody else reads
            await asyncio.wait((gone,))


_END = object()


async def _send(writer: asyncio.StreamWriter, answer: Answer) -> None:
    data = msgspec.json.encode(answer)
    if len(data) > ANSWER_LIMIT:
        data = msgspec.json.encode(Answer(answer.id, error=f"the answer is longer than {ANSWER_LIMIT} bytes"))
    writer.write(data + b"\n")
    async with asyncio.timeout(_WRITE_TIMEOUT_S):
        await writer.drain()


def _user_of(writer: asyncio.StreamWriter) -> str:
    """Return the account of the process at the other end, as the kernel knows it."""
    sock = writer.get_extra_info("socket")
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


async def _answers(path: Path) -> bool:
    """Tell whether somebody listens there already."""
    try:
        _, writer = await asyncio.open_unix_connection(str(path))
    except OSError:
        return False
    writer.close()
    return True
