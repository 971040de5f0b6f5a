"""
The log of a worker: one line per event on stderr, which it shares with the core.

`level worker logger: event field=value ...`. No tracebacks: an exception is its type, its text and where it came by.
"""

import logging
import sys
import traceback
from collections.abc import Iterator

from bridge.core.clock import Clock

# Lines of one message and logger that pass per window; our choice. The next window begins with how many did not.
_BURST = 5
_WINDOW_NS = 10_000_000_000
# Messages told apart; with more, the counting starts again.
_KINDS_MOST = 512
_FRAMES = 6
# Errors of a group that are told one by one.
_CAUSES = 3


def configure(name: str, clock: Clock) -> None:
    """Ours from INFO, libraries from WARNING on. May be called again with a better name."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine(name))
    handler.addFilter(Collapse(clock))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("bridge").setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    # a reader of stderr that went away is no reason to write more to it
    logging.raiseExceptions = False


class OneLine(logging.Formatter):
    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text = f"{text} error={describe(record.exc_info[1])}"
        more = getattr(record, "suppressed", 0)
        if more:
            text = f"{text} suppressed={more}"
        printable = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
        return f"{record.levelname.lower()} {self._name} {record.name}: {printable}"


class Collapse(logging.Filter):
    """Let `_BURST` records of a kind pass per window and count the others."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        # logger and message -> begin of the window, records in it
        self._seen: dict[tuple[str, str], tuple[int, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        key, now_ns = (record.name, str(record.msg)), self._clock.monotonic_ns()
        begun_ns, count = self._seen.get(key, (now_ns, 0))
        if now_ns - begun_ns >= _WINDOW_NS:
            record.suppressed = max(count - _BURST, 0)
            begun_ns, count = now_ns, 0
        if len(self._seen) >= _KINDS_MOST:
            self._seen.clear()
        self._seen[key] = (begun_ns, count + 1)
        return count < _BURST


def describe(error: BaseException) -> str:
    """Type, text and where it came by, innermost last, in one line; of a group of errors each one that is none."""
    if isinstance(error, BaseExceptionGroup):
        shown = [describe(one) for one in leaves(error)]
        more = f" and {len(shown) - _CAUSES} more" if len(shown) > _CAUSES else ""
        return "; ".join(shown[:_CAUSES]) + more
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    way = " > ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames)
    return f"{type(error).__name__}({str(error)!r}) at {way or 'nowhere'}"


def leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """Yield the errors of a group that are no groups: what happened, not how it came up through the tasks."""
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from leaves(one)
        else:
            yield one
