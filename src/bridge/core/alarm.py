"""What an alarm is to those who show it: one condition's life from its beginning to its end, acknowledged or not."""

import enum
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from bridge.core.command import CommandResult, Origin, Outcome


class Band(enum.IntEnum):
    """Bands of priorities 0 to 255 (seed 004, l.5737); the value is the lowest priority of the band."""

    NONE = 0
    INFO = 1
    LOW = 64
    MEDIUM = 128
    HIGH = 192


def band_of(priority: int) -> Band:
    """Return the band of a priority."""
    return next(band for band in reversed(Band) if priority >= band)


class Alarm(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """
    One alarm. `id`: number of the event that it began with, so ids grow. `name`: of the rule; `index`: the point, -1
    for a whole device. `end_ns`: 0 while it is active. `duration_ns`: by monotonic time. `limit`: the level it was
    picked up at. `before`, `extreme`: furthest value while it was pending and while it was active.
    `acknowledged_ns`, `confirmed_ns`: 0 until somebody did; to confirm is to say that what had to be done is done.
    """

    id: int
    name: str
    label: str
    device: str
    index: int
    priority: int
    start_ns: int
    end_ns: int = 0
    duration_ns: int = 0
    limit: float | None = None
    before: float | None = None
    extreme: float | None = None
    acknowledged_ns: int = 0
    acknowledged_by: str = ""
    confirmed_ns: int = 0
    confirmed_by: str = ""

    @property
    def active(self) -> bool:
        """Whether the condition lasts."""
        return not self.end_ns

    @property
    def acknowledged(self) -> bool:
        """Whether somebody has seen it."""
        return bool(self.acknowledged_ns)

    @property
    def confirmed(self) -> bool:
        """Whether somebody has said that it is dealt with."""
        return bool(self.confirmed_ns)


class Watched(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """
    What the alarm rules of a site watch at one point, in its unit: levels `high` and `low`, None = not on that side;
    `deadband`: how far back from its level an alarm ends; `states`: codes that are an alarm; delays before it begins
    and ends. `priority`: the highest of its alarms. Of several rules for the same side the first that is reached.
    """

    priority: int
    high: float | None = None
    low: float | None = None
    deadband: float = 0.0
    states: tuple[int, ...] = ()
    delay_s: float = 0.0
    delay_normal_s: float = 0.0


class Summary(msgspec.Struct, frozen=True, gc=False):
    """What one lamp can show (A-06). `attention`: a high alarm that nobody has acknowledged."""

    band: Band
    active: bool
    acknowledged: bool
    attention: bool


def summary_of(alarms: Sequence[Alarm]) -> Summary:
    """Return the highest active alarm, or else the highest historic one that nobody acknowledged, low ones left out."""
    shown = [alarm for alarm in alarms if alarm.active]
    if not shown:
        shown = [a for a in alarms if not a.acknowledged and band_of(a.priority) >= Band.MEDIUM]
    attention = any(band_of(a.priority) is Band.HIGH and a.active and not a.acknowledged for a in alarms)
    if not shown:
        return Summary(Band.NONE, False, True, attention)
    first = max(shown, key=lambda alarm: (alarm.priority, not alarm.acknowledged))
    return Summary(band_of(first.priority), first.active, first.acknowledged, attention)


class AlarmPort(Protocol):
    """Active alarms and the last historic ones; loop thread only."""

    def alarms(self) -> Sequence[Alarm]:
        """Return all that are kept, oldest first."""
        ...

    def subscribe(self, deliver: Callable[[Alarm], None]) -> Callable[[], None]:
        """Hear of every alarm that begins, ends, is acknowledged, confirmed or reaches a new extreme at its end."""
        ...

    async def acknowledge(self, alarm: int, origin: Origin, deadline_ns: int) -> CommandResult:
        """
        Acknowledge an alarm by its id. `deadline_ns`: CLOCK_MONOTONIC. Never raises: OUT_OF_RANGE for an id that is
        not kept, REFUSED_BY_POLICY for who may not.
        """
        ...

    async def confirm(self, alarm: int, origin: Origin, deadline_ns: int) -> CommandResult:
        """Confirm an alarm that was acknowledged; OUT_OF_RANGE besides for one that was not. Else as `acknowledge`."""
        ...


class NoAlarms:
    """AlarmPort of who has none."""

    def alarms(self) -> Sequence[Alarm]:
        return ()

    def subscribe(self, deliver: Callable[[Alarm], None]) -> Callable[[], None]:
        return lambda: None

    async def acknowledge(self, alarm: int, origin: Origin, deadline_ns: int) -> CommandResult:
        return CommandResult(Outcome.OUT_OF_RANGE)

    async def confirm(self, alarm: int, origin: Origin, deadline_ns: int) -> CommandResult:
        return CommandResult(Outcome.OUT_OF_RANGE)
