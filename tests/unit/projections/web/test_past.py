"""bridge.projections.web.past: whole where there is little, bounded where there is much."""

from bridge.core.history import PAGE_MOST, HistoryPage, NoHistory
from bridge.core.point import Kind, PointDef, Sample
from bridge.core.quality import Quality
from bridge.projections.web.past import dots_of, series_of

POWER = PointDef(3, "m.active_power_total", Kind.ANALOG, "kW", False, 10**10, "m.yaml:1")
S = 10**9


class Kept(NoHistory):
    """HistoryPort with one row a second from time 0 on."""

    def __init__(self, rows: int, failure: str = "") -> None:
        self.rows = [Sample(float(n), Quality.GOOD, n * S, 0) for n in range(rows)]
        self.failure, self.asked = failure, 0

    async def samples(self, index: int, after_ns: int, before_ns: int, most: int = PAGE_MOST) -> HistoryPage:
        self.asked += 1
        assert index == POWER.index
        if self.failure:
            return HistoryPage(failure=self.failure)
        first, last = max(after_ns // S + 1, 0), min(-(-before_ns // S), len(self.rows))
        found = self.rows[first:last]
        return HistoryPage(samples=found[:most], more=len(found) > most)


async def test_a_short_span_is_read_whole_with_both_its_ends() -> None:
    series = await series_of(Kept(10_000), POWER, 100 * S, 2600 * S)

    assert [row.source_ns for row in series.rows] == [n * S for n in range(100, 2601)]
    assert not series.thin


async def test_a_long_one_is_read_in_part_from_its_beginning_to_its_end_and_says_so() -> None:
    history = Kept(500_000)
    series = await series_of(history, POWER, 0, 499_999 * S)

    times = [row.source_ns // S for row in series.rows]
    assert series.thin
    assert history.asked < 150
    assert (times[0], times == sorted(times), len(times) < 2000) == (0, True, True)
    assert times[-1] > 490_000


async def test_why_there_is_nothing_is_handed_on() -> None:
    series = await series_of(Kept(0, "the disk is gone"), POWER, 0, S)

    assert (list(series.rows), series.failure) == ([], "the disk is gone")


def test_what_was_bad_is_not_drawn() -> None:
    rows = [Sample(1.5, Quality.GOOD, 1, 0), Sample(1.5, Quality.STALE, 2, 0), Sample(None, Quality.NEVER_READ, 3, 0)]

    assert [dot.value for dot in dots_of(POWER, rows)] == [1.5, None, None]
