"""Every function but READ and CONFIRM: one request in, indications and objects out."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from bridge.projections.dnp3 import controls
from bridge.projections.dnp3.application import (
    Function,
    Iin,
    ObjectHeader,
    Qualifier,
    Request,
    parse_headers,
)
from bridge.projections.dnp3.controls import CommandStatus, ControlHandler, Selection
from bridge.projections.dnp3.objects import PointType
from bridge.projections.dnp3.plan import MasterPlan
from bridge.projections.dnp3.tables import INDEX_LIMIT, PointTables

# IIN bit that a master may clear: restart.
_RESTART_BIT = 7
# g52v2, one object, 0 ms: requests are answered in the call that brings them.
_NO_DELAY = b"\x34\x02\x07\x01\x00\x00"
_RANGES = (Qualifier.RANGE_8, Qualifier.RANGE_16)


class Backend(ControlHandler, Protocol):
    """What the outstation needs from the program around it. No method may block."""

    def now_ms(self) -> int:
        """Return the time of day, ms since 1970 UTC."""
        ...

    def write_time(self, time_ms: int) -> bool:
        """Take the master's time of day; False refuses it."""
        ...

    def needs_time(self) -> bool: ...


class Reply(NamedTuple):
    iin: Iin
    body: bytes = b""


class _Operation:
    """An OPERATE whose commands run; `statuses` are None until known."""

    def __init__(self, headers: Sequence[ObjectHeader], until_s: float) -> None:
        self.headers = headers
        self.until_s = until_s
        self.statuses: list[CommandStatus | None] = []
        self.tickets: dict[int, int] = {}


class Functions:
    """The state that requests other than READ change, for one session."""

    def __init__(self, config: MasterPlan, tables: PointTables, backend: Backend) -> None:
        self._config = config
        self._tables = tables
        self._backend = backend
        self._selection: Selection | None = None
        self._recorded_ms = 0
        self._operation: _Operation | None = None
        self._ticket = 0
        self.restart = True
        self.unsolicited_classes: set[int] = set()

    def run(self, request: Request, now_s: float) -> Reply | None:
        """Return the reply, None while commands still run. Raises: RequestError."""
        headers = parse_headers(request.function, request.body)
        match request.function:
            case Function.WRITE:
                return Reply(self._write(headers))
            case Function.SELECT:
                return self._select(request, headers, now_s)
            case Function.OPERATE:
                return self._operate(request, headers, now_s)
            case Function.DIRECT_OPERATE | Function.DIRECT_OPERATE_NR:
                return self._start(headers, now_s)
            case Function.FREEZE | Function.FREEZE_NR:
                return Reply(self._freeze(headers))
            case Function.ENABLE_UNSOLICITED | Function.DISABLE_UNSOLICITED:
                return Reply(self._unsolicited(request.function, headers))
            case Function.DELAY_MEASURE:
                return Reply(Iin.NONE, _NO_DELAY)
            case Function.RECORD_CURRENT_TIME:
                self._recorded_ms = self._backend.now_ms()
                return Reply(Iin.NONE)
            case _:
                # Also FREEZE_CLEAR: a billed counter is never cleared by a master. Restarts are refused.
                return Reply(Iin.NO_FUNCTION)

    def lost(self) -> None:
        """Forget what does not outlive a connection."""
        self._selection = None
        self._operation = None

    # --- controls -----------------------------------------------------------------------------

    def _select(self, request: Request, headers: Sequence[ObjectHeader], now_s: float) -> Reply:
        self._selection = None
        statuses: list[CommandStatus] = []
        for control in controls.parse_controls(headers, self._config.max_controls):
            good = control.control is not None and control.status is CommandStatus.SUCCESS
            statuses.append(self._backend.select(control.control) if good and control.control else control.status)
        if all(status is CommandStatus.SUCCESS for status in statuses):
            until_s = now_s + self._config.select_timeout_s
            self._selection = Selection(request.sequence, request.body, until_s)
        return Reply(Iin.NONE, controls.echo(headers, statuses))

    def _operate(self, request: Request, headers: Sequence[ObjectHeader], now_s: float) -> Reply | None:
        selection, self._selection = self._selection, None
        found = controls.parse_controls(headers, self._config.max_controls)
        status = controls.check_selection(selection, request.sequence, request.body, now_s)
        if status is not CommandStatus.SUCCESS:
            return Reply(Iin.NONE, controls.echo(headers, [status] * len(found)))
        return self._start(headers, now_s)

    def _start(self, headers: Sequence[ObjectHeader], now_s: float) -> Reply | None:
        if self._operation is not None:
            return Reply(Iin.ALREADY_EXECUTING)
        operation = _Operation(headers, now_s + self._config.command_timeout_s)
        for at, control in enumerate(controls.parse_controls(headers, self._config.max_controls)):
            if control.control is None or control.status is not CommandStatus.SUCCESS:
                operation.statuses.append(control.status)
                continue
            self._ticket += 1
            operation.tickets[self._ticket] = at
            operation.statuses.append(self._backend.operate(control.control, self._ticket))
        return self._finish(operation)

    def _finish(self, operation: _Operation) -> Reply | None:
        known = [status for status in operation.statuses if status is not None]
        if len(known) < len(operation.statuses):
            self._operation = operation
            return None
        self._operation = None
        return Reply(Iin.NONE, controls.echo(operation.headers, known))

    def command_done(self, ticket: int, status: CommandStatus) -> Reply | None:
        """Take a late status; return the reply once all of the request are known."""
        operation = self._operation
        if operation is None or ticket not in operation.tickets:
            return None
        operation.statuses[operation.tickets[ticket]] = status
        return self._finish(operation)

    def expire(self, now_s: float) -> Reply | None:
        """Answer DOWNSTREAM_FAIL for commands that took too long."""
        operation = self._operation
        if operation is None or now_s < operation.until_s:
            return None
        late = CommandStatus.DOWNSTREAM_FAIL
        operation.statuses = [late if status is None else status for status in operation.statuses]
        return self._finish(operation)

    # --- writes, freeze, unsolicited ------------------------------------------------------------

    def _write(self, headers: Sequence[ObjectHeader]) -> Iin:
        iin = Iin.NONE if headers else Iin.PARAM_ERROR
        for header in headers:
            match header.group, header.variation:
                case 80, 1:
                    iin |= self._write_indications(header)
                case 50, 1 | 3:
                    iin |= self._write_time(header)
                case 34, 1 | 2 | 3:
                    iin |= self._write_deadbands(header)
                case _:
                    iin |= Iin.OBJECT_UNKNOWN
        return iin

    def _write_indications(self, header: ObjectHeader) -> Iin:
        if any(index != _RESTART_BIT or data != b"\x00" for index, data in header.items):
            return Iin.PARAM_ERROR
        self.restart = False
        return Iin.NONE

    def _write_time(self, header: ObjectHeader) -> Iin:
        if len(header.items) != 1:
            return Iin.PARAM_ERROR
        time_ms = int.from_bytes(header.items[0][1], "little")
        if header.variation == 3:
            time_ms += self._backend.now_ms() - self._recorded_ms
        return Iin.NONE if self._backend.write_time(time_ms) else Iin.PARAM_ERROR

    def _write_deadbands(self, header: ObjectHeader) -> Iin:
        iin = Iin.NONE
        for index, data in header.items:
            refused = not self._tables.set_deadband(PointType.ANALOG_INPUT, index, header.variation, data)
            iin |= Iin.PARAM_ERROR if refused else Iin.NONE
        return iin

    def _freeze(self, headers: Sequence[ObjectHeader]) -> Iin:
        iin = Iin.NONE if headers else Iin.PARAM_ERROR
        now_ms, size = self._backend.now_ms(), self._tables[PointType.COUNTER].size
        for header in headers:
            if header.group != 20 or header.variation:
                iin |= Iin.OBJECT_UNKNOWN
            elif header.qualifier is Qualifier.ALL:
                self._tables.freeze(0, INDEX_LIMIT, now_ms)
            elif header.qualifier in _RANGES:
                self._tables.freeze(header.start, header.stop, now_ms)
                iin |= Iin.PARAM_ERROR if header.stop > size else Iin.NONE
            else:
                iin |= Iin.PARAM_ERROR
        return iin

    def _unsolicited(self, function: int, headers: Sequence[ObjectHeader]) -> Iin:
        enable = function == Function.ENABLE_UNSOLICITED
        if enable and not self._config.unsolicited:
            return Iin.NO_FUNCTION
        iin = Iin.NONE
        for header in headers:
            if header.group != 60 or header.variation not in (2, 3, 4):
                iin |= Iin.OBJECT_UNKNOWN
            elif header.qualifier is not Qualifier.ALL:
                iin |= Iin.PARAM_ERROR
            elif enable:
                self.unsolicited_classes.add(header.variation - 1)
            else:
                self.unsolicited_classes.discard(header.variation - 1)
        return iin
