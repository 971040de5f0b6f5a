"""What the bridge knows by itself costs little: two minutes of the hour of `python -m tests.bench services`."""

from pathlib import Path

import pytest

from tests.bench.services import used


@pytest.mark.real_time
async def test_8000_points_with_every_service_and_the_history_take_less_than_a_tenth_of_a_core(tmp_path: Path) -> None:
    two_minutes = await used(120, tmp_path)

    assert two_minutes.points >= 8_000
    assert two_minutes.rows >= 8_000
    assert two_minutes.share <= 0.10
