"""HTTP behind the guard: uvicorn's protocol on connections that the guard has let in."""

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

log = logging.getLogger("bridge.web")
# Bytes of a request line with its headers
_HEAD_MOST = 16_384
# s; a browser keeps a connection that long for its next request
_KEEP_ALIVE_S = 30


Alive = dict[tuple[str, int], Callable[[], bool]]


class Door:
    """Loop thread only. `client`: (address, port), as in the scope of a request."""

    def __init__(self, app: ASGIApp, counters: dict[str, int]) -> None:
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
        self._state, self._silent = ServerState(), _Silent(counters)
        self._alive: Alive = {}

    def make(self) -> asyncio.Protocol:
        """Return the protocol of one connection."""
        return _Connection(self._config, self._state, self._alive, self._silent)

    def still_there(self, client: tuple[str, int]) -> None:
        """Tell the guard that a connection that only listens is wanted."""
        alive = self._alive.get(client)
        if alive is not None:
            alive()


class _Connection(H11Protocol):
    def __init__(self, config: Config, state: ServerState, alive: Alive, silent: "_Silent") -> None:
        super().__init__(config, state, {})
        self.access_log = False
        self.logger = silent  # type: ignore[assignment]
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
    """uvicorn's logger: bad requests are not told one by one, and a page that fails is told in one line."""

    level = 100

    def __init__(self, counters: dict[str, int]) -> None:
        self._counters = counters

    def warning(self, *_: object) -> None: ...
    def log(self, *_: object) -> None: ...
    def error(self, *_: object, exc_info: object = None) -> None:
        if isinstance(exc_info, ClientDisconnect):
            # gone in the middle of its form
            return
        count = self._counters["failed_pages"] = self._counters.get("failed_pages", 0) + 1
        # powers of two: whoever finds such a page must not fill the disk with it
        if count & (count - 1) == 0:
            log.error("page_failed error=%s: %s", type(exc_info).__name__, exc_info)

    def info(self, *_: object) -> None: ...
