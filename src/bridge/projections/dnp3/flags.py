"""The quality of a sample in DNP3's terms: the flag octet of each type."""

from bridge.core.quality import UNUSABLE, Quality
from bridge.projections.dnp3.objects import Flag, PointType

_ANALOG = frozenset((PointType.ANALOG_INPUT, PointType.ANALOG_OUTPUT))
_COUNTER = frozenset((PointType.COUNTER, PointType.FROZEN_COUNTER))
# An analog may be doubtful and online (REFERENCE_ERR); other types have no bit for doubt.
_OFFLINE = UNUSABLE | Quality.QUESTIONABLE


def flags_of(point_type: PointType, quality: int) -> int:
    """
    Return the flag octet without the state bits of binaries.

    ONLINE stands for a present reading. The value of a point that is not ONLINE is the last one held.
    """
    analog = point_type in _ANALOG
    flags = 0 if quality & (UNUSABLE if analog else _OFFLINE) else int(Flag.ONLINE)
    if quality & Quality.NEVER_READ:
        flags |= Flag.RESTART
    if quality & (Quality.COMM_LOST | Quality.STALE):
        flags |= Flag.COMM_LOST
    if quality & Quality.SUBSTITUTED:
        flags |= Flag.LOCAL_FORCED
    if analog and quality & Quality.OUT_OF_RANGE:
        flags |= Flag.OVER_RANGE
    if analog and quality & Quality.QUESTIONABLE:
        flags |= Flag.REFERENCE_ERROR
    if point_type in _COUNTER and quality & Quality.DISCONTINUITY:
        flags |= Flag.DISCONTINUITY
    return int(flags)


class FlagTable:
    """`flags_of` for one type, looked up: samples come with the same few qualities for ever."""

    def __init__(self, point_type: PointType) -> None:
        self._type = point_type
        self._known: dict[int, int] = {}

    def __getitem__(self, quality: int) -> int:
        flags = self._known.get(quality)
        if flags is None:
            flags = self._known[quality] = flags_of(self._type, quality)
        return flags
