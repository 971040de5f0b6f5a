"""The command line's end of the control socket: blocking, one request at a time."""

import socket
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from bridge.control.protocol import ANSWER_LIMIT, SOCKET_NAME, Answer, ControlError, Request


class ControlClient:
    """Raises: ControlError when no bridge runs there, or when it says no."""

    def __init__(self, state_dir: Path, timeout_s: float = 30.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(str(state_dir / SOCKET_NAME))
        except OSError as exc:
            self._socket.close()
            raise ControlError(f"no bridge runs with the state directory {state_dir} ({exc.strerror})") from exc
        self._file = self._socket.makefile("rb")
        self._next = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._file.close()
        self._socket.close()

    def ask(self, do: str, **arguments: Any) -> Any:
        """Send one request; return its result."""
        self._send(do, arguments)
        return self._receive().result

    def stream(self, do: str, **arguments: Any) -> Iterator[Any]:
        """Send one request; yield its items until the bridge ends the stream or goes away."""
        self._send(do, arguments)
        self._socket.settimeout(None)
        while (answer := self._receive()).item is not msgspec.UNSET:
            yield answer.item

    def _send(self, do: str, arguments: dict[str, Any]) -> None:
        self._next += 1
        request = Request(self._next, do, arguments)
        try:
            self._socket.sendall(msgspec.json.encode(request) + b"\n")
        except OSError as exc:
            raise ControlError(f"the bridge went away: {exc.strerror}") from exc

    def _receive(self) -> Answer:
        try:
            line = self._file.readline(ANSWER_LIMIT + 1)
        except OSError as exc:
            raise ControlError(f"no answer from the bridge: {exc}") from exc
        if not line.endswith(b"\n"):
            raise ControlError("the bridge went away before it answered")
        answer = msgspec.json.decode(line, type=Answer)
        if isinstance(answer.error, str):
            raise ControlError(answer.error)
        return answer
