"""Every function but READ and CONFIRM: one request in, indications and objects out."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from bridge.projections.dnp3.application import (
    Function,
    Iin,
    ObjectHeader,
    Qualifier,
    Request,
    parse_headers,
)
from bridge.projections.dnp3.controls import ControlHandler
from bridge.projections.dnp3.objects import STATIC_TYPES, PointType
from bridge.projections.dnp3.operations import Operations, Reply
from bridge.projections.dnp3.plan import MasterPlan, Permit
from bridge.projections.dnp3.table import INDEX_LIMIT
from bridge.projections.dnp3.tables import PointTables

# IIN bit that a master may clear: restart.
_RESTART_BIT = 7
# g52v2, one object, 0 ms: requests are answered in the call that brings them.
_NO_DELAY = b"\x34\x02\x07\x01\x00\x00"
# Class objects: variation 1 is class 0, 2 to 4 are the event classes.
_CLASSES, _CLASS_VARIATIONS = 60, (1, 2, 3, 4)
_RANGES = (Qualifier.RANGE_8, Qualifier.RANGE_16)


_OFFERED = frozenset(
    (
        Function.WRITE,
        Function.SELECT,
        Function.OPERATE,
        Function.DIRECT_OPERATE,
        Function.DIRECT_OPERATE_NR,
        Function.FREEZE,
        Function.FREEZE_NR,
        Function.ENABLE_UNSOLICITED,
        Function.DISABLE_UNSOLICITED,
        Function.ASSIGN_CLASS,
        Function.DELAY_MEASURE,
        Function.RECORD_CURRENT_TIME,
    )
)
_NEEDS_PERMIT: dict[int, Permit] = {
    Function.FREEZE: Permit.FREEZE,
    Function.FREEZE_NR: Permit.FREEZE,
    Function.ASSIGN_CLASS: Permit.ASSIGN_CLASS,
}


class Backend(ControlHandler, Protocol):
    """What the outstation needs from the program around it. No method may block or raise."""

    def now_ms(self) -> int:
        """Return the time of day, ms since 1970 UTC."""
        ...

    def write_time(self, time_ms: int) -> bool:
        """Take the master's time of day; False for one that cannot be."""
        ...

    def needs_time(self) -> bool: ...

    def refused(self, target: str, reason: str) -> None:
        """Have it recorded that a master asked for what it may not do."""
        ...


class Functions:
    """The state that requests other than READ change, for one session."""

    def __init__(self, config: MasterPlan, tables: PointTables, backend: Backend) -> None:
        self._config = config
        self._tables = tables
        self._backend = backend
        self.operations = Operations(config, backend)
        self._recorded_ms = 0
        self.restart = True
        self.unsolicited_classes: set[int] = set()

    def run(self, request: Request, now_s: float) -> Reply | None:
        """Return the reply, None while commands still run. Raises: RequestError."""
        if not self._offers(request.function):
            self._backend.refused(f"function {int(request.function)}", "not offered")
            return Reply(Iin.NO_FUNCTION)
        headers = parse_headers(request.function, request.body)
        match request.function:
            case Function.WRITE:
                return Reply(self._write(headers))
            case Function.SELECT:
                return self.operations.select(request, headers, now_s)
            case Function.OPERATE:
                return self.operations.operate(request, headers, now_s)
            case Function.DIRECT_OPERATE | Function.DIRECT_OPERATE_NR:
                return self.operations.direct(headers, now_s)
            case Function.FREEZE | Function.FREEZE_NR:
                return Reply(self._freeze(headers))
            case Function.ASSIGN_CLASS:
                return Reply(self._assign_class(headers))
            case Function.ENABLE_UNSOLICITED | Function.DISABLE_UNSOLICITED:
                return Reply(self._unsolicited(request.function, headers))
            case Function.DELAY_MEASURE:
                return Reply(Iin.NONE, _NO_DELAY)
            case Function.RECORD_CURRENT_TIME:
                self._recorded_ms = self._backend.now_ms()
                return Reply(Iin.NONE)
            case _:
                return Reply(Iin.NO_FUNCTION)

    def _offers(self, function: int) -> bool:
        """Not offered: what this master has no permit for, restarts, and the freezes that clear a billed counter."""
        needs = _NEEDS_PERMIT.get(function)
        return function in _OFFERED and (needs is None or needs in self._config.permits)

    def lost(self) -> None:
        """Forget what does not outlive a connection."""
        self.operations.lost()

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

    def _is_refused(self, permit: Permit) -> Iin:
        if permit in self._config.permits:
            return Iin.NONE
        self._backend.refused(f"function {int(Function.WRITE)} {permit.name.lower()}", "no permit")
        return Iin.NO_FUNCTION

    def _write_indications(self, header: ObjectHeader) -> Iin:
        if any(index != _RESTART_BIT or data != b"\x00" for index, data in header.items):
            return Iin.PARAM_ERROR
        self.restart = False
        return Iin.NONE

    def _write_time(self, header: ObjectHeader) -> Iin:
        if refused := self._is_refused(Permit.TIME):
            return refused
        if len(header.items) != 1:
            return Iin.PARAM_ERROR
        time_ms = int.from_bytes(header.items[0][1], "little")
        if header.variation == 3:
            time_ms += self._backend.now_ms() - self._recorded_ms
        return Iin.NONE if self._backend.write_time(time_ms) else Iin.PARAM_ERROR

    def _write_deadbands(self, header: ObjectHeader) -> Iin:
        iin = self._is_refused(Permit.DEADBAND)
        for index, data in header.items if not iin else ():
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

    def _assign_class(self, headers: Sequence[ObjectHeader]) -> Iin:
        """g60 names the class, the headers after it the points it is given to."""
        iin, event_class = Iin.NONE if headers else Iin.PARAM_ERROR, -1
        for header in headers:
            if header.group == _CLASSES:
                event_class = header.variation - 1 if header.variation in _CLASS_VARIATIONS else -1
                iin |= Iin.PARAM_ERROR if event_class < 0 else Iin.NONE
            elif header.group not in STATIC_TYPES or header.variation:
                iin |= Iin.OBJECT_UNKNOWN
            elif event_class < 0 or not all(self._assign(header, event_class)):
                iin |= Iin.PARAM_ERROR
        return iin

    def _assign(self, header: ObjectHeader, event_class: int) -> Iterable[bool]:
        """Tell for every part of a header whether all its points are there."""
        point_type = STATIC_TYPES[header.group]
        if header.qualifier is Qualifier.ALL:
            self._tables.assign_class(point_type, 0, INDEX_LIMIT, event_class)
        elif header.qualifier in _RANGES:
            count = header.stop - header.start
            yield self._tables.assign_class(point_type, header.start, header.stop, event_class) == count
        elif header.items:
            for index, _ in header.items:
                yield self._tables.assign_class(point_type, index, index + 1, event_class) == 1
        else:
            yield False

    def _unsolicited(self, function: int, headers: Sequence[ObjectHeader]) -> Iin:
        enable = function == Function.ENABLE_UNSOLICITED
        if enable and not self._config.unsolicited:
            return Iin.NO_FUNCTION
        iin = Iin.NONE
        for header in headers:
            if header.group != _CLASSES or header.variation not in (2, 3, 4):
                iin |= Iin.OBJECT_UNKNOWN
            elif header.qualifier is not Qualifier.ALL:
                iin |= Iin.PARAM_ERROR
            elif enable:
                self.unsolicited_classes.add(header.variation - 1)
            else:
                self.unsolicited_classes.discard(header.variation - 1)
        return iin
