"""bridge.projections.bacnet.values: a sample in BACnet's terms"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.quality import Quality
from bridge.projections.bacnet import wire
from bridge.projections.bacnet.plan import ObjectType, Shape
from bridge.projections.bacnet.values import CONDITION_OF, FLAGS_OF, RELIABILITY_OF, encoder, initial, shower

COMMUNICATION_FAILURE, UNRELIABLE, NO_FAULT = 12, 7, 0


@pytest.mark.parametrize(
    ("quality", "reliability", "flags"),
    [
        (Quality.GOOD, NO_FAULT, 0),
        (Quality.ROLLOVER | Quality.CLOCK_UNSYNCED | Quality.DISCONTINUITY, NO_FAULT, 0),
        (Quality.NEVER_READ, COMMUNICATION_FAILURE, wire.FAULT),
        (Quality.STALE, COMMUNICATION_FAILURE, wire.FAULT),
        (Quality.STALE | Quality.COMM_LOST, COMMUNICATION_FAILURE, wire.FAULT),
        (Quality.DEVICE_FAULT, UNRELIABLE, wire.FAULT),
        (Quality.OUT_OF_RANGE, UNRELIABLE, wire.FAULT),
        (Quality.QUESTIONABLE, UNRELIABLE, wire.FAULT),
        (Quality.SUBSTITUTED, NO_FAULT, wire.OVERRIDDEN),
        (Quality.SUBSTITUTED | Quality.COMM_LOST, COMMUNICATION_FAILURE, wire.FAULT),
    ],
)
def test_a_quality_is_a_reliability_and_flags(quality: Quality, reliability: int, flags: int) -> None:
    condition = CONDITION_OF[quality]

    assert (RELIABILITY_OF[condition], FLAGS_OF[condition]) == (reliability, flags)


def shape(kind: ObjectType, **more: object) -> Shape:
    return Shape(kind, "", **more)  # type: ignore[arg-type]


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_an_energy_is_its_exact_count_modulo_what_the_object_holds(count: int) -> None:
    show = shower(shape(ObjectType.ACCUMULATOR, maximum=2**32 - 1))

    shown = show(count)
    octets = encoder(ObjectType.ACCUMULATOR)(shown or 0)

    assert shown == count % 2**32
    assert int.from_bytes(octets[1:], "big") == count % 2**32
    assert len(octets) <= 5


@given(st.integers(min_value=-(2**53), max_value=2**53))
def test_a_large_analog_is_the_double_nearest_to_the_count(count: int) -> None:
    show = shower(shape(ObjectType.LARGE_ANALOG_VALUE, resolution=-2))

    assert show(count) == count / 100


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (ObjectType.ANALOG_INPUT, 1e39),
        (ObjectType.ANALOG_INPUT, "text"),
        (ObjectType.ACCUMULATOR, -1),
        (ObjectType.ACCUMULATOR, 1.5),
        (ObjectType.LARGE_ANALOG_VALUE, 2**53 + 1),
        (ObjectType.MULTI_STATE_VALUE, 9),
        (ObjectType.CHARACTERSTRING_VALUE, "x" * 500),
        (ObjectType.DATETIME_VALUE, "now"),
    ],
)
def test_what_the_type_cannot_carry_is_not_shown(kind: ObjectType, value: float | int | str) -> None:
    made = shape(kind, codes=(0, 1), texts=("a", "b"), maximum=2**32 - 1)

    assert shower(made)(value) is None


def test_states_are_numbered_from_one() -> None:
    show = shower(shape(ObjectType.MULTI_STATE_VALUE, codes=(0, 1, 16), texts=("a", "b", "c")))

    assert [show(code) for code in (0, 1, 16)] == [1, 2, 3]


def test_kiloamperes_become_amperes() -> None:
    assert shower(shape(ObjectType.ANALOG_INPUT, factor=1000.0))(0.4) == 400.0


def test_what_was_never_read_is_no_number_and_no_time() -> None:
    assert math.isnan(float(initial(shape(ObjectType.ANALOG_INPUT))))
    never = initial(shape(ObjectType.DATETIME_VALUE))
    assert encoder(ObjectType.DATETIME_VALUE)(never) == wire.UNSPECIFIED_TIME
    assert initial(shape(ObjectType.MULTI_STATE_VALUE)) == 1


@pytest.mark.parametrize(
    ("utc_ns", "octets"),
    [
        (1_700_000_000_123_000_000, "a47b0b0e02b4160d140c"),
        (-1, "a4450c1f03b4173b3b63"),
        (2**63 - 1, "a4ffffffffb4ffffffff"),
        (-(2**63), "a4ffffffffb4ffffffff"),
    ],
)
def test_a_time_is_utc_to_the_hundredth_of_a_second_and_unspecified_beyond_the_calendar(
    utc_ns: int, octets: str
) -> None:
    assert wire.date_time(utc_ns).hex() == octets


@pytest.mark.parametrize(("value", "octets"), [(0, "2100"), (255, "21ff"), (256, "220100"), (2**32, "25050100000000")])
# Defect 10: nothing above 2**32 - 1 could be encoded
def test_an_unsigned_has_as_many_octets_as_it_needs(value: int, octets: str) -> None:
    assert wire.unsigned(value).hex() == octets
