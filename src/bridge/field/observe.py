"""What a channel tells about its traffic: counters for everyone, frames for whoever traces it."""

import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

# frames kept for a reader that looks now and then
RING_FRAMES = 1000


@dataclass(slots=True)
class LineCounters:
    """Of one channel since its start. `bad_crc`: replies refused (CRC, or not the answer to the request)."""

    requests: int = 0
    replies: int = 0
    timeouts: int = 0
    bad_crc: int = 0
    incomplete: int = 0
    stray_bytes: int = 0
    late: int = 0
    opened: int = 0


class Verdict(enum.Enum):
    """What became of the bytes. SENT: our request; the others: what came."""

    SENT = "sent"
    OK = "ok"
    CRC = "crc"
    MISMATCH = "mismatch"
    INCOMPLETE = "incomplete"
    TIMEOUT = "timeout"
    STRAY = "stray"


@dataclass(frozen=True, slots=True)
class Frame:
    """Bytes as they were on the wire. `at_ns`: monotonic, when the last of them was given or taken."""

    at_ns: int
    verdict: Verdict
    data: bytes


Observer = Callable[[Frame], None]


class FrameTap:
    """Hand frames to observers. Ask `on` before building one: it is False while nobody listens."""

    def __init__(self) -> None:
        self.on = False
        self._observers: tuple[Observer, ...] = ()

    def add(self, observer: Observer) -> None:
        self._observers += (observer,)
        self.on = True

    def remove(self, observer: Observer) -> None:
        self._observers = tuple(other for other in self._observers if other != observer)
        self.on = bool(self._observers)

    def note(self, at_ns: int, verdict: Verdict, data: bytes) -> None:
        frame = Frame(at_ns, verdict, data)
        for observer in self._observers:
            observer(frame)


class FrameRing:
    """Keep the newest frames until somebody takes them; `lost` counts those that were pushed out."""

    def __init__(self, limit: int = RING_FRAMES) -> None:
        self._frames: deque[Frame] = deque(maxlen=limit)
        self.lost = 0

    def append(self, frame: Frame) -> None:
        self.lost += len(self._frames) == self._frames.maxlen
        self._frames.append(frame)

    def take(self) -> list[Frame]:
        """Return the frames since the last call, oldest first."""
        frames = list(self._frames)
        self._frames.clear()
        return frames
