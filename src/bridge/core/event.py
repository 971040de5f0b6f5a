"""What happened, in order: unlike a Sample, an Event is never replaced by a newer one."""

import enum

import msgspec

from bridge.core.point import Sample


class EventKind(enum.Enum):
    """Families of events (seed 004, l.7211-7229); a projection chooses by them."""

    VALUE = "value"
    ALARM_START = "alarm_start"
    ALARM_END = "alarm_end"
    ACKNOWLEDGE = "acknowledge"
    COMMUNICATION = "communication"
    ACCUMULATOR = "accumulator"
    COMMAND = "command"
    ACCESS = "access"
    CONFIGURATION = "configuration"
    TIME = "time"
    SYSTEM = "system"


class Event(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """
    `number` has no gaps, so a receiver sees by itself what it missed and can ask the history for it.

    `index`: the point concerned, -1 for none. `priority`: 0..255 in the bands of seed 004 (0 none, 1-63 information,
    64-127 low, 128-191 medium, 192-255 high). `time_ns`: UTC. `user`: who did it, where somebody did.
    """

    number: int
    index: int
    sample: Sample
    text: str
    kind: EventKind = EventKind.VALUE
    priority: int = 0
    time_ns: int = 0
    user: str = ""
    device: str = ""
