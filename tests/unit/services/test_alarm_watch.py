"""services.alarm_watch: an alarm's life against the drawings of seed 004 (l.5675-5705)."""

from bridge.services.alarm_watch import Condition, Side, Turn, Watch
from tests.support.clock import SECOND

OVER = Condition(Side.OVER, pickup=250, dropout=240, pickup_delay_ns=3 * SECOND, dropout_delay_ns=2 * SECOND)
UNDER = Condition(Side.UNDER, pickup=200, dropout=210, pickup_delay_ns=3 * SECOND, dropout_delay_ns=2 * SECOND)


def life(condition: Condition, *values: float | None) -> tuple[list[tuple[int, Turn]], Watch]:
    """Return the turns, by second, of a value a second."""
    watch = Watch(condition)
    turns: list[tuple[int, Turn]] = []
    for second, value in enumerate(values):
        turn = watch.take(value, second * SECOND)
        if turn is not Turn.NOTHING:
            turns.append((second, turn))
    return turns, watch


def test_over_set_point_begins_after_the_whole_pickup_delay_and_ends_after_the_whole_dropout_delay() -> None:
    # A-02, the first drawing: T1 from 1 to 4, EV1 at 4, T2 from 7 to 9, EV2 at 9
    turns, watch = life(OVER, 230, 251, 253, 252, 255, 258, 254, 239, 238, 237)

    assert turns == [(4, Turn.BEGAN), (9, Turn.ENDED)]
    assert (watch.before, watch.extreme) == (255, 258)


def test_under_set_point_is_the_mirror_image() -> None:
    # A-02, the second drawing
    turns, watch = life(UNDER, 230, 199, 190, 198, 195, 188, 205, 211, 212, 213)

    assert turns == [(4, Turn.BEGAN), (9, Turn.ENDED)]
    assert (watch.before, watch.extreme) == (190, 188)


def test_a_value_that_does_not_stay_beyond_the_pickup_begins_nothing() -> None:
    turns, watch = life(OVER, 251, 251, 251, 249, 251, 251, 251)

    assert turns == []
    assert watch.before == 251


def test_the_extreme_of_an_attempt_that_failed_is_forgotten() -> None:
    _, watch = life(OVER, 299, 249, 251)

    assert watch.before == 251


def test_between_dropout_and_pickup_an_alarm_goes_on() -> None:
    turns, _ = life(OVER, *[251] * 4, *[245] * 20)

    assert turns == [(3, Turn.BEGAN)]


def test_the_dropout_delay_counts_beyond_the_dropout_level_only() -> None:
    # a-18
    turns, _ = life(OVER, *[251] * 4, 239, 245, 239, 239, 239)

    assert turns == [(3, Turn.BEGAN), (8, Turn.ENDED)]


def test_an_unknown_value_neither_begins_nor_ends_an_alarm() -> None:
    begun, _ = life(OVER, 251, 251, None, 251, 251)
    ended, watch = life(OVER, *[251] * 4, 239, None, 239, None)

    assert begun == []
    assert ended == [(3, Turn.BEGAN)]
    assert watch.active


def test_without_delays_a_state_begins_and_ends_at_once() -> None:
    turns, _ = life(Condition(Side.IS, 1, 0), 0, 1, 1, 0)

    assert turns == [(1, Turn.BEGAN), (3, Turn.ENDED)]


def test_a_delay_runs_on_without_new_values() -> None:
    watch = Watch(OVER)
    watch.take(251, 0)

    assert watch.waits
    assert watch.look(3 * SECOND) is Turn.BEGAN
    assert not watch.waits


def test_the_level_itself_is_not_beyond() -> None:
    turns, _ = life(OVER, *[250] * 10)

    assert turns == []


def test_an_alarm_of_before_a_restart_ends_when_the_value_is_back() -> None:
    watch = Watch(OVER)
    watch.resume(251, 260)

    assert watch.take(255, 0) is Turn.NOTHING
    assert (watch.take(230, SECOND), watch.take(230, 3 * SECOND)) == (Turn.NOTHING, Turn.ENDED)
    assert watch.extreme == 260
