"""services.min_max and config.min_max: the least and the greatest, with their times."""

from pathlib import Path

from bridge.config.load import load_site
from bridge.core.point import Kind, PointDef, Sample, Value
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.services.min_max import MinMax, extremes_of
from tests.support.field_points import device, point

POWER = point("active_power_total", 0)
OWN = [
    point(f"active_power_total_{word}", n) for n, word in enumerate(("max", "max_timestamp", "min", "min_timestamp"), 1)
]
LIBRARY = Path(__file__).parents[1] / "config" / "cases" / "library"


class Bench:
    def __init__(self) -> None:
        self.store = PointStore([POWER, *OWN])
        self.service = MinMax(self.store)
        self.service.redefine(extremes_of([device([POWER], OWN)]))

    def read(self, value: float, at_ns: int, quality: Quality = Quality.GOOD) -> None:
        self.store.publish([(0, Sample(value, quality, at_ns, 1))])

    def shown(self) -> list[Value]:
        return [self.store.get(definition.index).value for definition in OWN]


def test_the_greatest_and_the_least_are_shown_with_their_times() -> None:
    # E-07
    bench = Bench()

    for at, value in enumerate((5.0, 9.0, 3.0, 7.0), start=10):
        bench.read(value, at)

    assert bench.shown() == [9.0, 11, 3.0, 12]


def test_a_doubtful_reading_is_no_extreme() -> None:
    bench = Bench()
    bench.read(5.0, 10)

    for quality in (Quality.QUESTIONABLE, Quality.SUBSTITUTED, Quality.OUT_OF_RANGE, Quality.STALE):
        bench.read(99.0, 11, quality)

    assert bench.shown() == [5.0, 10, 5.0, 10]


def test_a_reset_begins_with_the_present_value() -> None:
    bench = Bench()
    for at, value in enumerate((5.0, 9.0, 7.0), start=10):
        bench.read(value, at)

    assert bench.service.reset("m")
    assert bench.shown() == [7.0, 12, 7.0, 12]
    assert not bench.service.reset("another")


def test_extremes_outlive_a_restart() -> None:
    first, again = Bench(), Bench()
    first.read(5.0, 10)

    again.service.restore(first.service.kept())
    again.read(4.0, 20)

    assert again.shown() == [5.0, 10, 4.0, 20]


def site(tmp_path: Path, patterns: str) -> list[PointDef]:
    (tmp_path / "site.yaml").write_text(
        f"""
site: {{name: tower}}
channels: {{lan: {{kind: tcp, host: 10.0.0.1}}}}
devices: {{one: {{meter: plain, channel: lan, unit: 1}}}}
services: {{min_max: {patterns}}}
"""
    )
    return load_site(tmp_path, LIBRARY).points


def test_a_pattern_makes_four_points_and_the_command_to_begin_anew(tmp_path: Path) -> None:
    made = site(tmp_path, "['*.active_power_total']")[-5:]

    assert [p.name for p in made] == [
        "active_power_total_max",
        "active_power_total_max_timestamp",
        "active_power_total_min",
        "active_power_total_min_timestamp",
        "reset_min_max",
    ]
    assert [p.kind for p in made] == [Kind.ANALOG, Kind.TIME, Kind.ANALOG, Kind.TIME, Kind.BINARY]
    assert [p.writable for p in made] == [False] * 4 + [True]


def test_energies_have_no_extremes(tmp_path: Path) -> None:
    names = [p.name for p in site(tmp_path, "['*']")]

    assert not [name for name in names if "energy" in name and name.endswith("_max")]
