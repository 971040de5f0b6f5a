"""Whose request a line is given next: one of each client in turn, a bounded number at once."""

import asyncio
from collections import OrderedDict, deque

Ticket = asyncio.Future[None]


class Turns:
    """
    Loop thread only. `slots`: requests given to the core at once. Waiting is bounded by what each client may have under
    way (`session.MOST_UNDER_WAY`).
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._running = 0
        self._waiting: OrderedDict[str, deque[Ticket]] = OrderedDict()

    @property
    def waiting(self) -> int:
        return sum(len(queue) for queue in self._waiting.values())

    def take(self) -> bool:
        """Take a turn if one is free and nobody waits; `leave` must follow."""
        if self._running >= self._slots:
            return False
        self._running += 1
        return True

    async def enter(self, client: str) -> None:
        """Return when it is this client's turn; `leave` must follow."""
        if self.take():
            return
        ticket: Ticket = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(ticket)
        try:
            await ticket
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        waiting = self._waiting
        while waiting:
            client, queue = waiting.popitem(last=False)
            while queue:
                ticket = queue.popleft()
                if not ticket.done():
                    if queue:
                        waiting[client] = queue
                    ticket.set_result(None)
                    return
        self._running -= 1
