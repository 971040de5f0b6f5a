"""The write path's currency: a Command going down, a CommandResult coming back."""

import enum

import msgspec

from bridge.core.point import Value


class Origin(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """Who asks, for the policy and the audit: protocol, peer address, user or community name."""

    protocol: str
    peer: str
    user: str


class Mode(enum.Enum):
    """How a command is meant: at once, or in two steps (select before operate)."""

    DIRECT = "direct"
    # judge it and keep it for a while; nothing is written
    SELECT = "select"
    # carry out what the same origin selected before, with the same value
    OPERATE = "operate"


class Command(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """
    Set one point. `deadline_ns`: CLOCK_MONOTONIC, which every process of one machine shares; a command
    that is late is never executed, because its sender has already told its client that it failed.
    """

    index: int
    value: Value
    origin: Origin
    deadline_ns: int
    mode: Mode = Mode.DIRECT


class Outcome(enum.Enum):
    """What became of a command. DONE means: the device confirmed it, and a read-back shows it (SELECT: it is kept)."""

    DONE = "done"
    REFUSED_BY_POLICY = "refused_by_policy"
    NOT_WRITABLE = "not_writable"
    OUT_OF_RANGE = "out_of_range"
    BUSY = "busy"
    # nobody knows whether the device took it
    TIMED_OUT = "timed_out"
    DEVICE_REFUSED = "device_refused"


class CommandResult(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """`device_code`: the Modbus exception code, with DEVICE_REFUSED only."""

    outcome: Outcome
    device_code: int = 0
