"""What `services:` of site.yaml may say: all that the bridge works out by itself (docs/services.md)."""

from typing import Annotated

import msgspec

from bridge.config.alarm_keys import AlarmsKey, EventsKey
from bridge.config.history_keys import HistoryKey
from bridge.config.syslog_keys import SyslogKey

Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
# `device.point` with *, ? and [...]
Pattern = str


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base: unknown keys are mistakes."""


class StateLimits(_Strict, frozen=True):
    """
    When the states that the bridge computes are true; what is left out comes from the site, then from the defaults.

    `phase_loss`: percent of the nominal voltage below which a phase is lost, 0 = this meter never loses one.
    `overload`: percent of the nominal current. `voltage_unbalance`, `current_unbalance`: percent of the mean, 0 =
    never. `current_floor`: percent of the nominal current below which currents are too small to be unbalanced. Those
    with `_hysteresis`: percent by which a state must be left behind to end.
    """

    phase_loss: Percent | None = None
    phase_loss_hysteresis: Percent | None = None
    overload: Annotated[float, msgspec.Meta(ge=80, le=120)] | None = None
    overload_hysteresis: Percent | None = None
    voltage_unbalance: Annotated[float, msgspec.Meta(ge=0, le=10)] | None = None
    current_unbalance: Percent | None = None
    unbalance_hysteresis: Percent | None = None
    current_floor: Percent | None = None


class DeviceStateLimits(StateLimits, frozen=True, kw_only=True):
    """Limits of some devices. `match`: pattern over device ids; the first that matches decides."""

    match: Pattern


class StatesKey(StateLimits, frozen=True, kw_only=True):
    """`services.states`: limits of the site, and of some of its devices."""

    devices: tuple[DeviceStateLimits, ...] = ()


class DemandLimits(_Strict, frozen=True):
    """
    Demand is the mean over `interval_min` minutes, moved on by `interval_min / subintervals`: 1 = block, 3 of 15 =
    a window that slides by 5 minutes. `lockout_days`: time after a reset of the peak in which another is refused.
    """

    interval_min: Annotated[int, msgspec.Meta(ge=1, le=60)] | None = None
    subintervals: Annotated[int, msgspec.Meta(ge=1, le=60)] | None = None
    lockout_days: Annotated[float, msgspec.Meta(ge=0, le=3650)] | None = None


class DeviceDemandLimits(DemandLimits, frozen=True, kw_only=True):
    """Demand of some devices. `match`: pattern over device ids; the first that matches decides."""

    match: Pattern


class DemandKey(DemandLimits, frozen=True, kw_only=True):
    """`services.demand`: of the site, and of some of its devices."""

    devices: tuple[DeviceDemandLimits, ...] = ()


class DerivedKey(_Strict, frozen=True):
    """
    One point computed from others: exactly one of `sum` (less `minus`, if given), `difference` (the first less the
    rest), `average`, `ratio` (the first by the second) and `unbalance` (greatest distance from the mean, in percent of
    the mean). Each entry is a point id, or a pattern over the points of the meters.

    Energies stay exact counts in `sum` and `difference`.
    """

    sum: tuple[Pattern, ...] = ()
    minus: tuple[Pattern, ...] = ()
    difference: tuple[Pattern, ...] = ()
    average: tuple[Pattern, ...] = ()
    ratio: tuple[Pattern, ...] = ()
    unbalance: tuple[Pattern, ...] = ()
    unit: str = ""
    label: str = ""
    typical: tuple[float, float] | None = None
    deadband: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class TimeKey(_Strict, frozen=True):
    """
    `services.time`. `step_s`: least step of the clock that is an event. `error_s`: greatest error of a clock that
    counts as synchronised. `device_error_s`: seconds by which the clock of a meter may be off. `mark_samples`: readings
    made by a clock that is not synchronised say so to every protocol. `chrony_port`: where chronyd on this machine is
    asked; 0 = nowhere, the kernel alone is.
    """

    step_s: Annotated[float, msgspec.Meta(ge=0.000001, le=1.0)] = 0.5
    error_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 1.0
    device_error_s: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 5.0
    mark_samples: bool = False
    chrony_port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 323


class IndexKey(_Strict, frozen=True):
    """
    What the energy index believes. `growth`: how many times the nominal power an index may rise by before the rise is
    held and must be confirmed; 0 = any rise is believed.
    """

    growth: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 10.0


class ServicesFile(_Strict, frozen=True):
    """
    `services:` of site.yaml.

    `min_max`: points of the meters whose least and greatest value is kept, with its time.
    `partial`: energies of the meters beside which a count is kept that a user may zero.
    `derived`: `device.point` -> how it is computed; a device that is not among the meters comes into being with it.
    """

    states: StatesKey = StatesKey()
    demand: DemandKey = DemandKey()
    index: IndexKey = IndexKey()
    derived: dict[str, DerivedKey] = {}
    min_max: tuple[Pattern, ...] = ()
    partial: tuple[Pattern, ...] = ()
    alarms: AlarmsKey = AlarmsKey()
    events: EventsKey = EventsKey()
    history: HistoryKey = HistoryKey()
    syslog: SyslogKey | None = None
    time: TimeKey = TimeKey()
