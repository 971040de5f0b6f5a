"""
Writes as BACnet means them: sixteen priorities, Null relinquishes; pure but for the port that carries the command out.

The present value stays the one the meter reports: the array says what was asked for, never what is.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from bridge.core.clock import Clock
from bridge.core.command import Command, Origin, Outcome
from bridge.core.point import Value
from bridge.core.ports import CommandPort, Nobody, RefusalSink
from bridge.projections.bacnet.model import Catalogue
from bridge.projections.bacnet.plan import BINARIES, COMMANDABLE, MULTI_STATES, REALS, ObjectType, Shape
from bridge.projections.bacnet.values import Shown

LOWEST_PRIORITY = 16
# Minimum on and off times; no client may use it (clause 19.2.3).
_RESERVED_PRIORITY = 6


class WireError(NamedTuple):
    """Error class and code, by the library's words (clause 18)."""

    error_class: str
    error_code: str


class Refusal(Exception):
    """A write that is answered by an error. `by_core`: the core refused it, and keeps the record itself."""

    def __init__(self, error: WireError, by_core: bool = False) -> None:
        super().__init__(error.error_code)
        self.error_class, self.error_code = error
        self.by_core = by_core


ACCESS_DENIED = WireError("property", "writeAccessDenied")
_TYPE = WireError("property", "invalidDataType")
_RANGE = WireError("property", "valueOutOfRange")
_PRIORITY = WireError("services", "parameterOutOfRange")
_OUTCOMES = {
    Outcome.REFUSED_BY_POLICY: ACCESS_DENIED,
    Outcome.NOT_WRITABLE: ACCESS_DENIED,
    Outcome.OUT_OF_RANGE: _RANGE,
    Outcome.BUSY: WireError("device", "deviceBusy"),
    Outcome.TIMED_OUT: WireError("device", "timeout"),
    Outcome.DEVICE_REFUSED: WireError("device", "operationalProblem"),
}


class Commands:
    """The priority arrays of one worker. `changed(position)`: a built object must be shown anew."""

    def __init__(
        self,
        catalogue: Catalogue,
        port: CommandPort,
        clock: Clock,
        timeout_s: float,
        refusals: RefusalSink | None = None,
    ) -> None:
        self._refusals = refusals or Nobody()
        self._catalogue, self._port, self._clock = catalogue, port, clock
        self._timeout_ns = round(timeout_s * 1e9)
        # By position, for those ever commanded: at most the writable points.
        self._slots: dict[int, dict[int, Shown]] = {}
        self.changed: Callable[[int], None] = _ignore

    def refused(self, peer: str, target: str, reason: str) -> None:
        """Have the core record what never becomes a command."""
        self._refusals.refused(Origin("bacnet", peer, ""), target, reason)

    def slots(self, position: int) -> dict[int, Shown]:
        """Return what was asked for, by priority."""
        return self._slots.get(position, {})

    async def write(self, position: int, value: Shown | None, priority: int | None, peer: str) -> None:
        """Carry out a write of Present_Value; None is Null. Raises: Refusal with the truth."""
        shape = self._catalogue.points[position].shape
        if not shape.writable:
            raise Refusal(ACCESS_DENIED)
        if shape.object_type not in COMMANDABLE:
            if value is None:
                # what has no priority array takes no Null (clause 19.2)
                raise Refusal(_TYPE)
            await self._submit(position, checked(shape, value), peer)
            return
        rank = LOWEST_PRIORITY if priority is None else priority
        if rank == _RESERVED_PRIORITY:
            raise Refusal(ACCESS_DENIED)
        if not 1 <= rank <= LOWEST_PRIORITY:
            raise Refusal(_PRIORITY)
        if value is None:
            await self._relinquish(position, rank, peer)
            return
        wanted = checked(shape, value)
        if rank <= min(self.slots(position), default=LOWEST_PRIORITY):
            await self._submit(position, wanted, peer)
        self._slots.setdefault(position, {})[rank] = wanted
        self.changed(position)

    async def _relinquish(self, position: int, rank: int, peer: str) -> None:
        slots = self.slots(position)
        if rank not in slots:
            return
        rest = {priority: value for priority, value in slots.items() if priority != rank}
        # with nothing left the meter keeps what it has: it has no default of ours
        if rest and rank < min(rest):
            await self._submit(position, rest[min(rest)], peer)
        self._slots[position] = rest
        self.changed(position)

    async def _submit(self, position: int, value: Shown, peer: str) -> None:
        command = Command(
            self._catalogue.indexes[position],
            raw_of(self._catalogue.points[position].shape, value),
            Origin("bacnet", peer, ""),
            self._clock.monotonic_ns() + self._timeout_ns,
        )
        result = await self._port.submit(command)
        if result.outcome is not Outcome.DONE:
            raise Refusal(_OUTCOMES[result.outcome], by_core=True)


def checked(shape: Shape, value: Shown) -> Shown:
    """Return the value if the object may hold it. Raises: Refusal."""
    kind = shape.object_type
    if kind in REALS or kind is ObjectType.LARGE_ANALOG_VALUE:
        if not isinstance(value, float):
            raise Refusal(_TYPE)
        low = -math.inf if shape.low is None else shape.low
        high = math.inf if shape.high is None else shape.high
        if not math.isfinite(value) or not low <= value <= high:
            raise Refusal(_RANGE)
        return value
    if kind in BINARIES or kind in MULTI_STATES:
        if not isinstance(value, int):
            raise Refusal(_TYPE)
        least = 1 if kind in MULTI_STATES else 0
        if not least <= value < least + len(shape.texts):
            raise Refusal(_RANGE)
        return value
    if kind is ObjectType.CHARACTERSTRING_VALUE and isinstance(value, str):
        return value
    raise Refusal(_TYPE)


def raw_of(shape: Shape, value: Shown) -> Value:
    """Return the point's value for what the object shows: the inverse of `values.shower`."""
    kind = shape.object_type
    if kind in BINARIES:
        return bool(value)
    if kind in MULTI_STATES:
        return shape.codes[int(value) - 1]
    return float(value) / shape.factor if not isinstance(value, str) else value


def _ignore(_position: int) -> None:
    return
