"""Who may use a line next: commands, the poller, gateway clients, or one lease that has it for itself."""

import asyncio
import contextlib
import enum
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable

from bridge.core.errors import LineBusy


class Use(enum.Enum):
    """Who asks. COMMAND goes first; POLL and GATEWAY alternate while both wait."""

    COMMAND = "command"
    POLL = "poll"
    GATEWAY = "gateway"


class Others(enum.Enum):
    """What a lease does to everybody else: keep them waiting, or tell them at once (LineBusy)."""

    WAIT = "wait"
    REFUSED = "refused"


Ticket = asyncio.Future[None]


class LineArbiter:
    """
    Serialise request/reply exchanges; share the line fairly.

    Fairness: while both wait, POLL and GATEWAY get one exchange each in turn, and inside a
    use each `user` (a TCP client, a poll class) gets one in turn. So 32 gateway clients
    cannot take more than half of the line from the poller, nor one client starve another.
    `slots`: exchanges under way at once (a serial line has one). Silence between frames is the
    master's business: it alone knows when the last byte came.
    """

    def __init__(self, channel: str = "line", slots: int = 1) -> None:
        self._channel, self._slots = channel, slots
        # cached: in Python 3.11 get_running_loop is a system call
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queues: dict[Use, OrderedDict[str, deque[Ticket]]] = {use: OrderedDict() for use in Use}
        self._running = 0
        self._last = Use.GATEWAY
        # the lease that waits or holds; the exchanges under way end first
        self._lease: Ticket | None = None
        self._others = Others.WAIT

    @property
    def leased(self) -> bool:
        """Whether a lease holds the line or is about to."""
        return self._lease is not None

    async def exchange(self, use: Use, user: str, transact: Callable[[], Awaitable[bytes]]) -> bytes:
        """Run `transact` when it is its turn. Raises: LineBusy."""
        if not self.take(use):
            await self.enter(use, user)
        try:
            return await transact()
        finally:
            self.leave()

    def take(self, use: Use) -> bool:
        """Take a turn if the line is free; `leave` must follow. Raises: LineBusy."""
        if self._lease is not None and self._others is Others.REFUSED:
            raise self._busy()
        if self._running >= self._slots or self._lease is not None:
            return False
        self._enter(use)
        return True

    async def enter(self, use: Use, user: str) -> None:
        """Return when it is this user's turn; `leave` must follow. Raises: LineBusy."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        ticket: Ticket = self._loop.create_future()
        self._queues[use].setdefault(user, deque()).append(ticket)
        try:
            await ticket
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled() and ticket.exception() is None:
                self.leave()
            raise

    @contextlib.asynccontextmanager
    async def lease(self, others: Others = Others.REFUSED) -> AsyncIterator[None]:
        """Have the line for oneself: after the exchanges under way, before all that wait.

        Raises: LineBusy for a second one.
        """
        if self._lease is not None:
            raise self._busy()
        granted = self._lease = asyncio.get_running_loop().create_future()
        self._others = others
        if others is Others.REFUSED:
            self._refuse_waiting()
        try:
            if self._running:
                await granted
            yield
        finally:
            self._lease = None
            self._hand_over()

    def _busy(self) -> LineBusy:
        return LineBusy(self._channel, 0, "a lease has the line for itself")

    def _enter(self, use: Use) -> None:
        self._running += 1
        if use is not Use.COMMAND:
            self._last = use

    def leave(self) -> None:
        """Give the turn to the next."""
        self._running -= 1
        self._hand_over()

    def _hand_over(self) -> None:
        if self._lease is not None:
            if not self._running and not self._lease.done():
                self._lease.set_result(None)
            return
        while self._running < self._slots and any(self._queues.values()):
            second = Use.POLL if self._last is Use.GATEWAY else Use.GATEWAY
            for use in (Use.COMMAND, second, self._last):
                ticket = self._next_of(use)
                if ticket is not None:
                    self._enter(use)
                    ticket.set_result(None)
                    break
            else:
                return

    def _next_of(self, use: Use) -> Ticket | None:
        users = self._queues[use]
        while users:
            user, queue = users.popitem(last=False)
            while queue:
                ticket = queue.popleft()
                if not ticket.done():
                    if queue:
                        users[user] = queue
                    return ticket
        return None

    def _refuse_waiting(self) -> None:
        for use in Use:
            while (ticket := self._next_of(use)) is not None:
                ticket.set_exception(self._busy())
