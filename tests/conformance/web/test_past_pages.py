"""Trends and energy: what was recorded is what pages, files and API show, with what must be read beside it."""

import csv
import html
import io
import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.core.point import Kind, PointDef, Sample
from bridge.core.quality import Quality
from tests.support.web_site import Console, console

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(60)]
S = 10**9
NOTICE = "a bill must be checkable at the meter"


@dataclass(frozen=True)
class Recorded:
    """`index` of a meter; `power` with a value a second for ten minutes until `now`."""

    web: Console
    index: PointDef
    power: PointDef
    now: int


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Recorded]:
    async with console(str(tmp_path), analogs=("active_power_total",)) as web:
        index = next(d for d in web.facts.points if d.id == "m1.active_energy_import")
        power = next(d for d in web.facts.points if d.kind is Kind.ANALOG and d.device == "m1")
        now = time.time_ns() // S
        rows = [Sample(float(n % 60), Quality.GOOD, (now - 600 + n) * S, 0) for n in range(600)]
        rows[300:330] = [Sample(row.value, Quality.STALE, row.source_ns, 0) for row in rows[300:330]]
        web.history.rows[power.index] = rows
        day = 1_767_225_600  # 2026-01-01T00:00:00Z
        counts = [(0, 1000, 1), (15, 1025, 1), (30, None, 0), (45, 1100, 1), (60, 7, 2), (75, 9, 2)]
        web.history.rows[index.index] = [
            Sample(count, Quality.GOOD, (day + minute * 60) * S, epoch) for minute, count, epoch in counts
        ]
        web.core.answers["recorded"] = {
            "billed": [index.id],
            "values": [power.id],
            "period_s": 900,
            "timezone": "Europe/Paris",
        }
        web.core.answers["closings"] = [
            _closing(index.id, "2025-12", "10.00"),
            _closing(index.id, "2026-01-01", "12.50"),
            _closing(index.id, "2026-01-02", "13.75"),
        ]
        yield Recorded(web, index, power, now)


def _closing(point: str, period: str, reading: str) -> dict[str, object]:
    row: dict[str, object] = {"point": point, "period": period, "reading": reading, "unit": "kWh", "epoch": 1}
    return row | {"epoch_now": 1, "serial_number": "S1", "read_ns": 1_767_312_000 * S, "quality": 0}


async def test_a_trend_shows_every_recorded_value_and_the_gap_between(site: Recorded) -> None:
    page = (await site.web.https.get(f"/trends?span=15min&point={site.power.id}")).text
    data = json.loads(_unescaped(re.search(r'data-chart="([^"]+)"', page)))

    assert '<td class="num">600</td>' in page
    # broken where the value was stale, and the part shaded
    path = re.search(r'<path class="s0" d="([^"]+)"', page)
    assert path is not None
    assert path[1].count("M") == 2
    assert page.count('<rect class="gap"') == 1
    (line,) = data["lines"]
    assert line["name"] == site.power.id
    assert (data["end"] - data["begin"]) == 900_000
    assert line["read"][0] == [(site.now - 600) * 1000, "0.000"]


async def test_zooming_asks_for_the_part_and_nothing_else(site: Recorded) -> None:
    begin, end = (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(site.now - ago)) for ago in (500, 440))
    page = (await site.web.https.get(f"/trends?begin={begin}&end={end}&point={site.power.id}")).text

    # both ends belong to the span
    assert '<td class="num">61</td>' in page
    assert f'value="{begin}"' in page
    for word in ("Earlier", "Later", "Zoom in", "Zoom out"):
        assert re.search(rf'<a href="/trends\?begin=[^"]+&amp;point={site.power.id}">{word}</a>', page), word


async def test_many_points_are_cut_to_six_and_unknown_ones_left_out(site: Recorded) -> None:
    names = [definition.id for definition in site.web.facts.points[:9]]
    query = "&".join(f"point={name}" for name in ["nothing", *names])
    page = (await site.web.https.get(f"/trends?{query}")).text

    assert len(re.findall(r'type="hidden" name="point"', page)) == 6
    assert "nothing" not in page


# E-14 E-15 M-33
async def test_an_index_shows_its_days_and_months_to_the_last_digit_with_its_notices(site: Recorded) -> None:
    page = (await site.web.https.get(f"/energy/{site.index.id}?day=2026-01-01")).text
    overview = (await site.web.https.get("/energy")).text

    assert re.search(r'2026-01-02</th><td class="num">13.75</td><td class="num">1.25</td>', page)
    assert re.search('2025-12</th><td class="num">10.00</td><td class="num">\u2013</td>', page)
    for text in (page, overview):
        assert NOTICE in text
    assert f'href="/energy/{site.index.id}"' in overview


# E-09 E-12
async def test_the_load_profile_shows_what_was_used_in_each_interval_and_what_nobody_knows(site: Recorded) -> None:
    # the day of Europe/Paris that begins at 23:00 UTC
    page = (await site.web.https.get(f"/energy/{site.index.id}?day=2026-01-01")).text
    bars, gaps = page.count('<rect class="bar"'), page.count('<rect class="gap"')

    assert (bars, gaps) == (2, 3)
    assert "outage" in page


async def test_the_files_say_the_same_under_the_notices(site: Recorded) -> None:
    trail = await site.web.https.get(f"/energy/{site.index.id}.csv")
    profile = await site.web.https.get(f"/energy/{site.index.id}.csv?day=2026-01-01")

    rows = list(csv.reader(io.StringIO(trail.text)))
    assert rows[0][0].startswith("# Information only")
    assert NOTICE in trail.text
    assert NOTICE in profile.text
    assert ["2026-01-02", "13.75", "1.25", "2026-01-02T00:00:00Z", "good", "S1"] in rows
    used = [row[2] for row in csv.reader(io.StringIO(profile.text)) if row and row[0].startswith("2026-")]
    assert used == ["0.25", "", "", "", "0.02"]
    assert (await site.web.https.get("/energy/nothing.csv")).status_code == 404


async def test_the_api_answers_the_same_rows_page_by_page(site: Recorded) -> None:
    path, after, found = f"/api/v1/points/{site.power.id}/history", 0, []
    while after is not None:
        page = (await site.web.https.get(path, params={"after": after, "limit": 250})).json()
        found += page["rows"]
        after = page["next"]
    index = (await site.web.https.get(f"/api/v1/points/{site.index.id}/history")).json()["rows"]
    closings = (await site.web.https.get(f"/api/v1/points/{site.index.id}/closings")).json()

    kept = site.web.history.rows[site.power.index]
    assert [(row["time_ns"], row["value"]) for row in found] == [(row.source_ns, row.value) for row in kept]
    assert [row["value"] for row in index] == ["10.00", "10.25", None, "11.00", "0.07", "0.09"]
    assert [row["epoch"] for row in index] == [1, 1, 0, 1, 2, 2]
    assert [row["reading"] for row in closings] == ["10.00", "12.50", "13.75"]


# C-01
async def test_the_set_up_check_names_what_is_missing_and_where(site: Recorded) -> None:
    finding = {"level": "warning", "code": "no_nominal", "subject": "m1", "detail": "current_a"}
    site.web.core.answers["setup"] = [finding]

    page = (await site.web.https.get("/setup")).text
    api = (await site.web.https.get("/api/v1/setup")).json()

    assert re.search(r"Nominal values are not set[^<]*<a href=\"/meters/m1\">m1</a>", page)
    # what the console knows of itself
    assert "own making" in page
    assert api == [finding]


def _unescaped(found: re.Match[str] | None) -> str:
    assert found is not None
    return html.unescape(found[1])
