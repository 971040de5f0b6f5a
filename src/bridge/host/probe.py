"""Ask the projection's own listener a real question, again and again: an open port is no answer."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from bridge.core.ports import Projection
from bridge.host.log import describe
from bridge.host.visits import OwnVisits

_log = logging.getLogger("bridge.probe")


@dataclass(frozen=True, slots=True)
class ProbeTiming:
    """Seconds. `first_s`: between questions until the first answer."""

    period_s: float = 5.0
    timeout_s: float = 3.0
    first_s: float = 0.2
    # failures in a row after which a restart is better than waiting
    failures: int = 3


@dataclass(frozen=True, slots=True)
class Probing:
    """`opened`: set when the projection listens. `visits`: lets the questions through the guard."""

    opened: asyncio.Event
    visits: OwnVisits


async def watch(
    projection: Projection,
    probing: Probing,
    ready: Callable[[], None],
    counters: dict[str, int],
    timing: ProbeTiming,
) -> None:
    """
    Call `ready` once the listener that `probing.opened` tells of has answered; return when it does not answer any more.

    Before the first answer nobody gives up here: the supervisor ends a worker that does not become ready.
    """
    counters["probe_ok"] = counters["probe_failed"] = 0
    await probing.opened.wait()
    while not await _ask(projection, counters, timing.timeout_s, probing.visits):  # noqa: ASYNC110 - an answer has no event
        await asyncio.sleep(timing.first_s)
    ready()
    failures = 0
    while failures < timing.failures:
        await asyncio.sleep(timing.period_s)
        failures = 0 if await _ask(projection, counters, timing.timeout_s, probing.visits) else failures + 1


async def _ask(projection: Projection, counters: dict[str, int], timeout_s: float, visits: OwnVisits) -> bool:
    try:
        with visits.visiting():
            async with asyncio.timeout(timeout_s):
                await projection.probe()
    except Exception as exc:  # noqa: BLE001 - the contract of `probe`: it raises whatever goes wrong
        counters["probe_failed"] += 1
        _log.warning("probe_failed count=%d error=%s", counters["probe_failed"], describe(exc))
        return False
    counters["probe_ok"] += 1
    return True
