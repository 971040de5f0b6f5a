"""
Control callbacks: every operate waits for the answer of the meter, so that the client sees the true result.

The handlers run in the server thread of libiec61850, which must never block: `submit` hands the request over and
returns; the library asks again about every 10 ms until the answer is there. Only controls with enhanced security come
here.
"""

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from bridge.core.command import Outcome
from bridge.projections.iec61850.lib61850 import Callback, CheckHandler, ControlHandler, Functions, Handle, fail_closed
from bridge.projections.iec61850.native import DynamicModel
from bridge.projections.iec61850.tree import Binding

_FAILED, _OK, _WAITING = 0, 1, 2
_ACCEPTED, _DENIED = -1, 3
# MmsType ordinals of libiec61850.
_MMS_STRUCTURE, _MMS_BOOLEAN, _MMS_INTEGER, _MMS_FLOAT = 1, 2, 4, 6
# ns beyond the deadline of the command itself, in which its answer comes back
_ANSWER_NS: Final = 500_000_000


class AddCause(enum.IntEnum):
    """IEC 61850-7-2 AddCause, the ones given here."""

    NOT_SUPPORTED = 1
    BLOCKED_BY_MODE = 8
    BLOCKED_BY_PROCESS = 9
    COMMAND_ALREADY_IN_EXECUTION = 12
    TIME_LIMIT_OVER = 16
    NO_ACCESS_AUTHORITY = 20
    INCONSISTENT_PARAMETERS = 26


CAUSES: Final = {
    Outcome.REFUSED_BY_POLICY: AddCause.NO_ACCESS_AUTHORITY,
    Outcome.NOT_WRITABLE: AddCause.NOT_SUPPORTED,
    Outcome.OUT_OF_RANGE: AddCause.INCONSISTENT_PARAMETERS,
    Outcome.BUSY: AddCause.COMMAND_ALREADY_IN_EXECUTION,
    Outcome.TIMED_OUT: AddCause.TIME_LIMIT_OVER,
    Outcome.DEVICE_REFUSED: AddCause.BLOCKED_BY_PROCESS,
}


@dataclass(eq=False, slots=True)
class Request:
    """
    One operate. `peer`: "address:port" as the server saw it. `outcome`: None until the answer is there; set once, from
    any thread.
    """

    point: str
    value: bool | int | float
    peer: str
    number: int
    originator_category: int
    deadline_ns: int
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Desk:
    """
    Where requests go, and the clocks. All are called in the server thread and return at once.

    `refused`: (peer, point, reason) of a command that is answered here. `wrong_password`: of an association.
    """

    submit: Callable[[Request], None]
    refused: Callable[[str, str, str], None]
    wrong_password: Callable[[], None]
    monotonic_ns: Callable[[], int]
    utc_ns: Callable[[], int]
    report: Callable[[BaseException], None]
    timeout_ns: int


class Controls:
    def __init__(self, library: Functions, desk: Desk) -> None:
        self._library, self._desk = library, desk
        # object -> request; only the server thread touches it
        self._pending: dict[str, Request] = {}
        self._keep: list[Callback] = []

    def install(self, server: Handle, model: DynamicModel) -> None:
        """Install both handlers on every controllable object. Call before the server starts."""
        for path, binding in _commanded(model):
            handler = fail_closed(ControlHandler, _FAILED, self._operate(binding), self._desk.report)
            check = fail_closed(CheckHandler, _DENIED, self._check(), self._desk.report)
            self._keep += [handler, check]
            self._library.IedServer_setControlHandler(server, model.controls[path], handler, None)
            self._library.IedServer_setPerformCheckHandler(server, model.controls[path], check, None)

    def _check(self) -> Callable[..., int]:
        def check(action: Handle, _parameter: None, _value: Handle, test: bool, _interlock: bool) -> int:
            # A refused operate is answered in `operate`: a check denial of an enhanced operate left the client
            # of `iec61850` 0.14.0 waiting 5 s.
            return _DENIED if test and self._library.ControlAction_isSelect(action) else _ACCEPTED

        return check

    def _operate(self, binding: Binding) -> Callable[..., int]:
        def operate(action: Handle, _parameter: None, value: Handle, test: bool) -> int:
            now = self._desk.monotonic_ns()
            peer, number = self._peer(action), self._library.ControlAction_getCtlNum(action)
            request = self._pending.get(binding.object)
            if request is not None and (request.peer, request.number) != (peer, number):
                # The client of the earlier operate is gone. Its answer must not count for this one.
                if request.outcome is None and now < request.deadline_ns + _ANSWER_NS:
                    self._desk.refused(peer, binding.point, "another command is under way")
                    return self._deny(action, AddCause.COMMAND_ALREADY_IN_EXECUTION)
                request = None
            if request is None:
                if test:
                    self._desk.refused(peer, binding.point, "tests are not carried out")
                    return self._deny(action, AddCause.BLOCKED_BY_MODE)
                category = self._library.ControlAction_getOrCat(action)
                deadline_ns = now + self._desk.timeout_ns
                request = Request(binding.point, self._read(value), peer, number, category, deadline_ns)
                self._desk.submit(request)
                self._pending[binding.object] = request
            return self._result(action, binding, request, now)

        return operate

    def _result(self, action: Handle, binding: Binding, request: Request, now: int) -> int:
        outcome = request.outcome
        if outcome is None and now < request.deadline_ns + _ANSWER_NS:
            return _WAITING
        del self._pending[binding.object]
        if outcome is Outcome.DONE:
            return _OK
        return self._deny(action, CAUSES[outcome or Outcome.TIMED_OUT])

    def _deny(self, action: Handle, cause: AddCause) -> int:
        self._library.ControlAction_setAddCause(action, cause)
        return _FAILED

    def _read(self, value: Handle) -> bool | int | float:
        library, kind = self._library, self._library.MmsValue_getType(value)
        if kind == _MMS_BOOLEAN:
            return library.MmsValue_getBoolean(value)
        if kind == _MMS_INTEGER:
            return library.MmsValue_toInt64(value)
        part = library.MmsValue_getElement(value, 0) if kind == _MMS_STRUCTURE else None
        if part and library.MmsValue_getType(part) == _MMS_FLOAT:
            return library.MmsValue_toFloat(part)
        raise TypeError(f"ctlVal of MMS type {kind}")

    def _peer(self, action: Handle) -> str:
        connection = self._library.ControlAction_getClientConnection(action)
        address = self._library.ClientConnection_getPeerAddress(connection) if connection else None
        return address.decode() if address else ""


def _commanded(model: DynamicModel) -> Iterator[tuple[str, Binding]]:
    for binding in model.leaves:
        if binding.control is not None and binding.object in model.controls:
            yield binding.object, binding
