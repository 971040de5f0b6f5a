"""What the field side has to tell besides samples: decisions, refusals, devices lost and found."""

import enum
from collections.abc import Callable
from dataclasses import dataclass


class NoticeKind(enum.Enum):
    """What happened to a device or a point of it."""

    LOST = "lost"
    FOUND = "found"
    # a point's scale was chosen among the alternatives of its meter file
    SCALE_DECIDED = "scale decided"
    # no alternative gives a plausible value
    SCALE_UNDECIDED = "scale undecided"
    # the device says that it has no such register
    REGISTER_REFUSED = "register refused"
    # the serial number as read, at start, after an outage and whenever it is another one
    SERIAL_NUMBER = "serial number"
    LINE_NOISY = "line noisy"
    LINE_CLEAN = "line clean"


@dataclass(frozen=True, slots=True)
class Notice:
    """`index`: the point concerned, -1 for the whole device. `text`: one sentence, or the serial number itself."""

    kind: NoticeKind
    device: str
    index: int
    text: str


Report = Callable[[Notice], None]
