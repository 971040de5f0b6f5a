"""Two tariffs: each index by itself, their sum, and what is recorded of both (E-13)."""

from dataclasses import replace
from pathlib import Path

import pytest

from bridge.app.own import OwnServices
from bridge.core.point import Kind, Sample
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.history.database import Access, Database
from bridge.history.opening import FILE
from tests.support import sim_site
from tests.support.clock import NEW_YEAR, SECOND, ManualClock
from tests.support.field_points import device, point

T1, T2 = point("active_energy_import_t1", 0), point("active_energy_import_t2", 1)
TARIFF = point("active_tariff", 2, kind=Kind.MULTISTATE, states=((1, "T1"), (2, "T2")))
BOTH = point("active_energy_import", 3)
SITE = sim_site.site([device([T1, T2, TARIFF], [BOTH])], channels={})


@pytest.mark.real_time
async def test_each_tariff_is_an_index_with_a_profile_and_closings_and_their_sum_is_logged(tmp_path: Path) -> None:
    # E-13 E-09 E-14
    clock = ManualClock(utc=NEW_YEAR - 1800 * SECOND)
    store = PointStore(SITE.points, SITE.devices)
    own = OwnServices(store, clock)
    await own.start(replace(SITE, state_dir=tmp_path))
    for n in range(45):
        at = clock.utc
        readings = (
            (T1.index, 1_000 + min(n, 30)),
            (T2.index, 500 + max(n - 30, 0)),
            (TARIFF.index, 1 if n < 30 else 2),
        )
        own.gate.publish([(index, Sample(value, Quality.GOOD, at, n)) for index, value in readings])
        clock.pass_s(60)
        own.records.look()
    page = None
    recorder = own.memory.recorder
    assert recorder is not None
    await recorder.commit()
    page = await own.past.samples(BOTH.index, 0, 1 << 62)
    await own.stop()

    with Database(tmp_path / "history" / FILE, access=Access.READ) as database:
        profiles = {p.id: [row.count for row in database.profile(p.id)] for p in (T1, T2, BOTH)}
        closings = {p.id: [(row.period, row.count) for row in database.proofs(p.id)] for p in (T1, T2)}

    assert profiles == {T1.id: [1_014, 1_029, 1_030], T2.id: [500, 500, 514], BOTH.id: []}
    assert closings[T1.id] == [("2025-12", 1_030), ("2025-12-31", 1_030)]
    assert closings[T2.id] == [("2025-12", 500), ("2025-12-31", 500)]
    assert [sample.value for sample in page.samples] == [1_514, 1_529, 1_544]
    assert store.get(TARIFF.index).value == 2
