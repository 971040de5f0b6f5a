"""HTTP behind the guard: uvicorn's protocol on connections that the guard has let in."""

import asyncio
from collections.abc import Callable
from typing import cast

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

# Bytes of a request line with its headers
_HEAD_MOST = 16_384
# s; a browser keeps a connection that long for its next request
_KEEP_ALIVE_S = 30


class Door:
    """Loop thread only. `client`: (address, port), as in the scope of a request."""

    def __init__(self, app: ASGIApp) -> None:
        self._config = Config(
            app,
            loop="none",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            h11_max_incomplete_event_size=_HEAD_MOST,
        )
        self._config.load()
        self._state = ServerState()
        self._alive: dict[tuple[str, int], Callable[[], bool]] = {}

    def make(self) -> asyncio.Protocol:
        """Return the protocol of one connection."""
        return _Connection(self._config, self._state, self._alive)

    def still_there(self, client: tuple[str, int]) -> None:
        """Tell the guard that a connection that only listens is wanted."""
        alive = self._alive.get(client)
        if alive is not None:
            alive()


class _Connection(H11Protocol):
    def __init__(self, config: Config, state: ServerState, alive: dict[tuple[str, int], Callable[[], bool]]) -> None:
        super().__init__(config, state, {})
        # without a root handler a line about bad requests would be written for each of them
        self.access_log = False
        self.logger = _Silent()  # type: ignore[assignment]
        self._doors = alive
        self._is_alive: Callable[[], bool] = lambda: True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._is_alive = cast("Callable[[], bool]", transport.get_extra_info("alive"))
        if self.client is not None:
            self._doors[self.client] = self._is_alive

    def connection_lost(self, exc: Exception | None) -> None:
        if self.client is not None:
            self._doors.pop(self.client, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before and not self._is_alive():
            self.transport.abort()


class _Silent:
    """uvicorn's logger: bad requests are the guard's and the counters' to tell."""

    level = 100

    def warning(self, *_: object) -> None: ...
    def log(self, *_: object) -> None: ...
    def error(self, *_: object, exc_info: object = None) -> None: ...
    def info(self, *_: object) -> None: ...
