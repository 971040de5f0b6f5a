"""A core process without meters and servers, made to be killed: `python -m tests.support.killed FOLDER`.

It counts an index up and logs an event with every commit, and says on stdout what is safe: `safe <event> <count>`.
"""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from bridge.app.own import OwnServices
from bridge.core.clock import SystemClock
from bridge.core.event import EventKind
from bridge.core.point import Sample
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from tests.support import sim_site
from tests.support.field_points import device, point

ENERGY = point("active_energy_import", 0)
STEPS_PER_COMMIT = 5


async def count_up(folder: Path) -> None:
    site = sim_site.site([device([ENERGY], [])], channels={})
    store = PointStore([ENERGY], site.devices)
    clock = SystemClock()
    own = OwnServices(store, clock)
    await own.start(replace(site, state_dir=folder))
    recorder = own.memory.recorder
    assert recorder is not None
    held = store.get(0).value
    count = held if isinstance(held, int) else 0
    print(f"started {own.events.last} {count}", flush=True)  # noqa: T201
    while True:
        for _ in range(STEPS_PER_COMMIT):
            count += 1
            own.gate.publish([(0, Sample(count, Quality.GOOD, clock.utc_ns(), count))])
            own.events.record(EventKind.SYSTEM, 64, f"count {count}")
        await recorder.commit()
        print(f"safe {own.events.last} {count}", flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(count_up(Path(sys.argv[1])))
