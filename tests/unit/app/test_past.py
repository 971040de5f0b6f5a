"""bridge.app.past: what the database has is what servers are told of the past, with the epoch of an index."""

from pathlib import Path

import pytest

from bridge.app.past import Past
from bridge.core.clock import SystemClock
from bridge.core.point import Kind, PointDef
from bridge.core.quality import Quality
from bridge.core.quantity import meaning_of
from bridge.core.store import PointStore
from bridge.history.database import Database
from bridge.history.rows import IndexRow, Pending, ProofRow
from bridge.services.events import EventLog

NAME = "active_energy_import"
INDEX = PointDef(
    0, f"m.{NAME}", Kind.ACCUMULATOR, "kWh", False, 10**10, "m.yaml:1", resolution=-2, meaning=meaning_of(NAME)
)


@pytest.mark.real_time
async def test_a_load_profile_carries_its_epochs_and_closings_are_told_of_one_point_or_of_all(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    proofs = [ProofRow(INDEX.id, period, 5, -2, "kWh", 1, "A", 9, 0) for period in ("2026-01-30", "2026-01-31")]
    profile = [IndexRow(INDEX.id, 900, 123, 1, 899, 0), IndexRow(INDEX.id, 1800, None, 2, 0, 0)]
    with Database(path) as database:
        database.commit(Pending(profile=profile, proofs=proofs))
    past = Past(PointStore([INDEX], []), EventLog(SystemClock()))
    assert await past.closings(INDEX.id) == []
    past.open(path)

    page, one, all_ = await past.samples(0, 0, 10**9), await past.closings(INDEX.id), await past.closings()
    past.close()

    assert [(row.value, row.quality, row.seq) for row in page.samples] == [
        (123, Quality.GOOD, 1),
        (None, Quality.NEVER_READ, 2),
    ]
    assert one == proofs
    assert all_ == proofs[1:]
