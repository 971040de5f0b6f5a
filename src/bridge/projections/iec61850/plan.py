"""
The resolved model that travels to the worker: which point is which data object, and how the server behaves.

The CID is generated from it and from nothing else (`cid`); the worker serves that CID, or the one in `cid_dir`.
"""

import enum

import msgspec

from bridge.core.listener import Listener


class Control(enum.Enum):
    """How a client may command an output. STATUS_ONLY: not at all."""

    STATUS_ONLY = "status-only"
    DIRECT = "direct"
    SELECT_BEFORE_OPERATE = "select-before-operate"


class ReportLayout(enum.Enum):
    """
    Where the report blocks lie; every layout offers every value. Figures: docs/protocols/iec61850.md.

    FULL_PER_DEVICE: per logical device a BRCB and a URCB with all values. EVENTS_PER_DEVICE: a BRCB with counters,
    states and outputs, a URCB with all values. PERIODIC_PER_DEVICE: the same, but the URCB reports by period, on
    request and on a change of quality, not of value. EVENTS_WIDE: data sets over the whole IED in the first logical
    device, BRCBs with events, URCBs with all values. FULL_WIDE: as EVENTS_WIDE, all values in the BRCBs.
    """

    FULL_PER_DEVICE = "full-per-device"
    EVENTS_PER_DEVICE = "events-per-device"
    PERIODIC_PER_DEVICE = "periodic-per-device"
    EVENTS_WIDE = "events-wide"
    FULL_WIDE = "full-wide"


class Item(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """
    One point as a data object: `prefix` `ln_class` `inst` . `object` [. `phase`], e.g. MMXU1.A.phsA.

    `point`: its id, which the CID binds by. `si_unit`: ordinal of IEC 61850-7-3. `multiplier`: power of ten of it that
    the value has. `pulse`: the quantity of one count of a BCR, exact in FLOAT32. `deadband`: in the unit of the point.
    `text`: what an engineer reads beside a generic object.
    """

    index: int
    point: str
    prefix: str
    ln_class: str
    inst: int
    object: str
    phase: str = ""
    si_unit: int = 1
    multiplier: int = 0
    pulse: float = 1.0
    control: Control = Control.STATUS_ONLY
    deadband: float = 0.0
    text: str = ""

    @property
    def node(self) -> str:
        """Name of the logical node."""
        return f"{self.prefix}{self.ln_class}{self.inst}"


class Meter(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """A device as a logical device `inst`. `device`: its id. `meter`: name of its meter file."""

    inst: str
    device: str
    vendor: str
    model: str
    meter: str
    items: tuple[Item, ...]


class Reports(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    `instances`: of each URCB, one per client that may hold it. `buffered_instances`: of each BRCB; every one costs the
    same again at each change, client or not. `buffer_bytes`: per BRCB instance.
    """

    layout: ReportLayout = ReportLayout.PERIODIC_PER_DEVICE
    instances: int = 5
    buffered_instances: int = 1
    buffer_time_ms: int = 10
    integrity_period_ms: int = 10_000
    buffer_bytes: int = 65_536


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    What the worker needs. `ip`: the address the CID states. `cid_dir`: folder with the one CID to serve, relative to
    the server's state folder; "" = the generated one. `passwords`: of ACSE; none = no authentication.
    """

    listener: Listener
    ied: str
    ip: str
    meters: tuple[Meter, ...]
    reports: Reports = Reports()
    cid_dir: str = ""
    passwords: tuple[str, ...] = ()
    control_timeout_s: float = 10.0
