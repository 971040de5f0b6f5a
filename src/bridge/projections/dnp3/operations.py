"""Controls of one session: what is selected, what runs, and the status of each object once it is known."""

from collections.abc import Sequence
from typing import NamedTuple

from bridge.core.command import Mode
from bridge.projections.dnp3 import controls
from bridge.projections.dnp3.application import Iin, ObjectHeader, Request
from bridge.projections.dnp3.controls import CommandStatus, ControlHandler, Selection
from bridge.projections.dnp3.plan import MasterPlan


class Reply(NamedTuple):
    iin: Iin
    body: bytes = b""


class _Running:
    """A request whose commands run; `statuses` are None until known. `selects`: what it selects when all succeed."""

    def __init__(self, headers: Sequence[ObjectHeader], until_s: float, selects: Selection | None = None) -> None:
        self.headers = headers
        self.until_s = until_s
        self.selects = selects
        self.statuses: list[CommandStatus | None] = []
        self.tickets: dict[int, int] = {}


class Operations:
    """One request with controls runs at a time."""

    def __init__(self, plan: MasterPlan, handler: ControlHandler) -> None:
        self._plan, self._handler = plan, handler
        self._selection: Selection | None = None
        self._running: _Running | None = None
        self._ticket = 0

    def lost(self) -> None:
        """Forget what does not outlive a connection."""
        self._selection = self._running = None

    def select(self, request: Request, headers: Sequence[ObjectHeader], now_s: float) -> Reply | None:
        self._selection = None
        selects = Selection(request.sequence, request.body, now_s + self._plan.select_timeout_s)
        return self._start(Mode.SELECT, headers, now_s, selects)

    def operate(self, request: Request, headers: Sequence[ObjectHeader], now_s: float) -> Reply | None:
        selection, self._selection = self._selection, None
        found = controls.parse_controls(headers, self._plan.max_controls)
        status = controls.check_selection(selection, request.sequence, request.body, now_s)
        if status is not CommandStatus.SUCCESS:
            return Reply(Iin.NONE, controls.echo(headers, [status] * len(found)))
        return self._start(Mode.OPERATE, headers, now_s)

    def direct(self, headers: Sequence[ObjectHeader], now_s: float) -> Reply | None:
        return self._start(Mode.DIRECT, headers, now_s)

    def _start(
        self, mode: Mode, headers: Sequence[ObjectHeader], now_s: float, selects: Selection | None = None
    ) -> Reply | None:
        if self._running is not None:
            return Reply(Iin.ALREADY_EXECUTING)
        operation = _Running(headers, now_s + self._plan.command_timeout_s, selects)
        for at, item in enumerate(controls.parse_controls(headers, self._plan.max_controls)):
            if item.control is None or item.status is not CommandStatus.SUCCESS:
                operation.statuses.append(item.status)
                continue
            self._ticket += 1
            operation.tickets[self._ticket] = at
            operation.statuses.append(self._handler.control(item.control, mode, self._ticket))
        return self._finish(operation)

    def _finish(self, operation: _Running) -> Reply | None:
        known = [status for status in operation.statuses if status is not None]
        if len(known) < len(operation.statuses):
            self._running = operation
            return None
        self._running = None
        if operation.selects is not None and all(status is CommandStatus.SUCCESS for status in known):
            self._selection = operation.selects
        return Reply(Iin.NONE, controls.echo(operation.headers, known))

    def done(self, ticket: int, status: CommandStatus) -> Reply | None:
        """Take a late status; return the reply once all of the request are known."""
        operation = self._running
        if operation is None or ticket not in operation.tickets:
            return None
        operation.statuses[operation.tickets[ticket]] = status
        return self._finish(operation)

    def expire(self, now_s: float) -> Reply | None:
        """Answer DOWNSTREAM_FAIL for commands that took too long."""
        operation = self._running
        if operation is None or now_s < operation.until_s:
            return None
        late = CommandStatus.DOWNSTREAM_FAIL
        operation.statuses = [late if status is None else status for status in operation.statuses]
        return self._finish(operation)
