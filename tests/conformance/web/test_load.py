"""Ten browsers on a tower: the console's own CPU and memory. The figures are of its process alone."""

from pathlib import Path

import pytest

from tests.support.web_load import first_page, loaded, tower

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(120)]


async def test_ten_browsers_on_a_tower_take_a_seventh_of_a_core_at_most_and_no_memory(tmp_path: Path) -> None:
    async with tower(str(tmp_path)) as web:
        size, _ = await first_page(web)
        load = await loaded(web, browsers=10, warm_s=4, measured_s=12)
        points = len(web.facts.points)

    assert points == 8000
    assert load.messages > 20
    assert load.cpu <= 0.15
    assert load.grown < 4 << 20
    assert size < 300_000
