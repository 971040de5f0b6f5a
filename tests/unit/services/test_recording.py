"""services.recording: which samples become rows."""

from bridge.config.history_keys import RecordKey
from bridge.core.point import Sample, Value
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.services.recording import Recording
from tests.support.clock import ManualClock
from tests.support.field_points import point

POWER = point("active_power_total", 0)
DOOR = point("tamper_alarm", 1)


class Bench:
    def __init__(self, *keys: RecordKey) -> None:
        self.clock = ManualClock()
        self.store = PointStore([POWER, DOOR])
        self.rows: list[Value] = []
        self.recording = Recording(self.store, self.clock, lambda id_, sample: self.rows.append(sample.value))
        self.recording.redefine(keys, [POWER, DOOR])

    def values(self, *values: Value, every_s: float = 1.0, index: int = 0) -> list[Value]:
        for value in values:
            self.store.publish([(index, Sample(value, Quality.GOOD, self.clock.utc, 1))])
            self.clock.pass_s(every_s)
        return self.rows


def test_with_a_period_one_sample_a_period_is_a_row() -> None:
    bench = Bench(RecordKey(match="*.active_power_total", every_s=10))

    assert bench.values(*map(float, range(31))) == [0.0, 10.0, 20.0, 30.0]


def test_a_late_sample_does_not_move_the_period() -> None:
    bench = Bench(RecordKey(match="*", every_s=10))
    bench.values(0.0, every_s=14)

    assert bench.values(*map(float, range(14, 31))) == [0.0, 14.0, 20.0, 30.0]


def test_without_a_period_every_change_beyond_the_deadband_is_a_row() -> None:
    bench = Bench(RecordKey(match="*", every_s=0, deadband=0.5))

    assert bench.values(1.0, 1.4, 1.6, 1.6, 2.0, 2.2) == [1.0, 1.6, 2.2]


def test_a_state_is_a_row_with_every_change() -> None:
    bench = Bench(RecordKey(match="*.tamper_alarm", every_s=0))

    assert bench.values(False, False, True, False, index=1) == [False, True, False]


def test_a_change_of_quality_is_a_row_at_once() -> None:
    bench = Bench(RecordKey(match="*", every_s=60))
    bench.values(1.0)

    bench.store.publish([(0, Sample(1.0, Quality.COMM_LOST, 5, 2))])

    assert bench.rows == [1.0, 1.0]


def test_what_nobody_chose_is_not_recorded() -> None:
    bench = Bench(RecordKey(match="*.active_power_total"))

    assert bench.values(True, index=1) == []


def test_the_first_key_that_matches_decides_how_long_it_is_kept() -> None:
    bench = Bench(RecordKey(match="*.tamper_alarm", keep_days=1), RecordKey(match="*", keep_days=2))

    assert {id_: key.keep_days for id_, key in bench.recording.keys().items()} == {POWER.id: 2, DOOR.id: 1}
