"""`python -m tests.bench._mms_alone PORT`: libiec61850 with the model of the tower and nothing else around it."""

import sys
import time

from bridge.projections.iec61850 import lib61850, scl
from bridge.projections.iec61850.cid import cid
from bridge.projections.iec61850.controls import Desk
from bridge.projections.iec61850.ied_server import Identity, IedServer, ServerConfig
from tests.bench.iec61850 import tower
from tests.support.mms_site import facts_for, plan_of


def _ignore(*_: object) -> None:
    """Nobody commands here."""


def main() -> None:
    facts = tower()
    plan = plan_of(facts)
    model = scl.load(cid(plan, "1"), facts_for(facts))
    desk = Desk(_ignore, _ignore, lambda: None, time.monotonic_ns, time.time_ns, _ignore, 10**9)
    config = ServerConfig(Identity("v", "m", "r"), 5, plan.reports.buffer_bytes)
    points = {definition.id: definition for definition in facts.points}
    with IedServer(lib61850.load(), model, points, config, desk) as server:
        server.start(int(sys.argv[1]))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
