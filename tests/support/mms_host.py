"""
`python -m tests.support.mms_host PORT`: the library's server alone, without guard and link, for memory checkers.

Prints "ready", changes every value a few times a second, and ends when standard input does.
"""

import sys
import threading
import time

from bridge.core.command import Outcome
from bridge.core.point import Kind, PointDef, Sample
from bridge.core.quality import Quality
from bridge.projections.iec61850 import lib61850, scl
from bridge.projections.iec61850.cid import cid
from bridge.projections.iec61850.controls import Desk, Request
from bridge.projections.iec61850.ied_server import Identity, IedServer, ServerConfig
from tests.support.mms_site import facts_for, plan_of, site, value_of

RULES = [{"match": "*.digital_output_?", "control": "direct"}]


def answered(request: Request) -> None:
    threading.Timer(0.05, setattr, (request, "outcome", Outcome.DONE)).start()


def refused(*_: str) -> None:
    """Nobody keeps records here."""


def failed(error: BaseException) -> None:
    sys.stderr.write(f"{error!r}\n")


def moved(definition: PointDef, step: int) -> float | int | bool | str:
    value = value_of(definition)
    if definition.kind in (Kind.ANALOG, Kind.ACCUMULATOR):
        return value + step  # type: ignore[operator]
    return value


def wait_for_the_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def main() -> None:
    facts = site(1)
    model = scl.load(cid(plan_of(facts, rules=RULES), "1"), facts_for(facts, rules=RULES))
    desk = Desk(answered, refused, lambda: None, time.monotonic_ns, time.time_ns, failed, 10**9)
    config = ServerConfig(Identity("v", "m", "r"), 5, 16384)
    points = {definition.id: definition for definition in facts.points}
    with IedServer(lib61850.load(), model, points, config, desk) as server:
        server.start(int(sys.argv[1]))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        ended = threading.Event()
        threading.Thread(target=wait_for_the_end, args=(ended,), daemon=True).start()
        step = 0
        while not ended.wait(0.2):
            step += 1
            quality = Quality.STALE if step % 7 == 0 else Quality.GOOD
            now = time.time_ns()
            server.updates.apply((d.index, Sample(moved(d, step), quality, now, step)) for d in facts.points)


if __name__ == "__main__":
    main()
