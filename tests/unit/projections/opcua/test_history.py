"""HistoryRead of raw values: directions, limits, bounds, continuation points, what is refused. # O-01"""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer, ServiceError
from asyncua.ua.ua_binary import struct_from_binary

from bridge.core.point import Sample
from bridge.core.quality import Quality
from bridge.projections.opcua.history import MOST_NODES, MOST_VALUES, Histories, Reading
from bridge.projections.opcua.image import Image
from bridge.projections.opcua.model import Model
from bridge.projections.opcua.past import Failed, Span, rows
from bridge.projections.opcua.rests import MOST, Rests
from tests.support.modbus_site import site, store_of
from tests.support.past import ListedPast

FACTS = site(1)
VOLTAGE = next(d for d in FACTS.points if d.id == "m1.voltage_l1")
ENERGY = next(d for d in FACTS.points if d.id == "m1.active_energy_import")
S = 1_000_000_000
BEGIN_NS = 1_700_000_000 * S
BEGIN = datetime.fromtimestamp(1_700_000_000, UTC)
NEVER = datetime(1601, 1, 1, tzinfo=UTC)


def past(count: int, step_ns: int = S) -> ListedPast:
    """Values 0, 1, 2, ... one a step."""
    voltages = [Sample(float(n), Quality.GOOD, BEGIN_NS + n * step_ns, 0) for n in range(count)]
    energies = [Sample(n, Quality.GOOD, BEGIN_NS + n * step_ns, 0) for n in range(count)]
    return ListedPast({VOLTAGE.index: voltages, ENERGY.index: energies})


class Bench:
    def __init__(self, port: ListedPast) -> None:
        store = store_of(FACTS)
        image = Image(store, Model(FACTS.points, FACTS.devices, store.definition), lambda _: None)
        self.port, self.histories, self.rests = port, Histories(port, image), Rests[Reading]()

    async def ask(self, details: Any, *names: str, point: bytes | None = None, **more: Any) -> list[Any]:
        nodes = [ua.HistoryReadValueId(NodeId=ua.NodeId(name, 2), ContinuationPoint=point) for name in names]
        params = ua.HistoryReadParameters(
            HistoryReadDetails=details, NodesToRead=nodes, ReleaseContinuationPoints=False, **more
        )
        return await self.histories.read(params, self.rests)

    async def all(self, details: Any, name: str = VOLTAGE.id) -> list[list[Any]]:
        """Return the values of every answer until there is no more."""
        found, point = [], None
        while True:
            (result,) = await self.ask(details, name, point=point)
            assert result.StatusCode.is_good(), result.StatusCode
            found.append([value.Value.Value for value in values(result)])
            point = result.ContinuationPoint
            if point is None:
                return found


def values(result: Any) -> list[ua.DataValue]:
    data = struct_from_binary(ua.HistoryData, Buffer(result.HistoryData.Body))
    return list(data.DataValues)


def raw(start: float | None, end: float | None, count: int = 0, bounds: bool = False) -> Any:
    """Seconds since BEGIN."""

    def at(moment: float | None) -> datetime:
        return NEVER if moment is None else BEGIN + timedelta(seconds=moment)

    return ua.ReadRawModifiedDetails(
        IsReadModified=False, StartTime=at(start), EndTime=at(end), NumValuesPerNode=count, ReturnBounds=bounds
    )


@pytest.mark.parametrize(
    ("details", "wanted"),
    [
        # the start belongs to the range, the end does not
        (raw(2, 5), [[2, 3, 4]]),
        (raw(5, 2), [[5, 4, 3]]),
        (raw(2, 2), [[2]]),
        (raw(2, 9, 3), [[2, 3, 4], [5, 6, 7], [8]]),
        (raw(9, 2, 3), [[9, 8, 7], [6, 5, 4], [3]]),
        (raw(2, 8, 3), [[2, 3, 4], [5, 6, 7]]),
        # one end and a number: so many and no more
        (raw(2, None, 3), [[2, 3, 4]]),
        (raw(None, 5, 3), [[5, 4, 3]]),
        (raw(-100, 100), [list(range(10))]),
        (raw(100, -100), [list(range(9, -1, -1))]),
    ],
)
async def test_values_come_in_the_direction_and_number_asked_for(details: Any, wanted: list[list[int]]) -> None:
    assert await Bench(past(10)).all(details) == wanted


@pytest.mark.parametrize("backwards", [False, True])
async def test_no_answer_has_more_values_than_the_limit_and_none_is_lost(backwards: bool) -> None:
    bench = Bench(past(2500))
    found = await bench.all(raw(5000, -1) if backwards else raw(-1, 5000))

    assert [len(part) for part in found] == [MOST_VALUES, MOST_VALUES, 500]
    assert list(itertools.chain(*found)) == (list(range(2499, -1, -1)) if backwards else list(range(2500)))


@pytest.mark.parametrize("step_ns", [1_000_000, 60 * S, 86_400 * S])
async def test_the_last_values_are_found_without_reading_all_of_them(step_ns: int) -> None:
    bench = Bench(past(5000, step_ns))
    found = await bench.all(raw(None, 10**9, 5))

    assert found == [[4999, 4998, 4997, 4996, 4995]]
    assert len(bench.port.asked) < 60


async def test_nothing_in_the_range_is_good_and_says_so() -> None:
    (result,) = await Bench(past(10)).ask(raw(100, 200), VOLTAGE.id)

    assert result.StatusCode.value == ua.StatusCodes.GoodNoData
    assert values(result) == []


async def test_an_energy_is_its_count_and_beside_it_a_double() -> None:
    bench = Bench(past(10))
    count, double = await bench.ask(raw(7, 8), ENERGY.id, f"{ENERGY.id}.value")

    assert (values(count)[0].Value.Value, values(count)[0].Value.VariantType) == (7, ua.VariantType.Int64)
    assert (values(double)[0].Value.Value, values(double)[0].Value.VariantType) == (0.07, ua.VariantType.Double)


async def test_quality_and_time_are_those_of_the_row_and_an_outage_is_lost_data() -> None:
    at = BEGIN_NS + 3 * S
    port = ListedPast(
        {VOLTAGE.index: [Sample(230.0, Quality.STALE, at, 0), Sample(None, Quality.NEVER_READ, at + S, 0)]}
    )
    held, lost = values((await Bench(port).ask(raw(0, 10), VOLTAGE.id))[0])

    assert held.StatusCode.value == ua.StatusCodes.UncertainLastUsableValue
    assert (held.SourceTimestamp, held.ServerTimestamp) == (BEGIN + timedelta(seconds=3), None)
    assert lost.StatusCode.value == ua.StatusCodes.BadDataLost
    assert lost.Value is None or lost.Value.Value is None


def shown(found: Sequence[ua.DataValue]) -> list[Any]:
    return [one.Value.Value if one.StatusCode.is_good() else one.StatusCode.name for one in found]


@pytest.mark.parametrize(
    ("details", "wanted"),
    [
        (raw(2.5, 4.5, bounds=True), [2, 3, 4, 5]),
        (raw(2, 4, bounds=True), [2, 3, 4]),
        (raw(4.5, 2.5, bounds=True), [5, 4, 3, 2]),
        (raw(-5, 1, bounds=True), ["BadBoundNotFound", 0, 1]),
        (raw(8, 50, bounds=True), [8, 9, "BadBoundNotFound"]),
        (raw(50, 8, bounds=True), ["BadBoundNotFound", 9, 8]),
        (raw(2.5, None, 2, bounds=True), [2, 3]),
    ],
)
async def test_bounds_are_the_values_around_the_range(details: Any, wanted: list[Any]) -> None:
    (result,) = await Bench(past(10)).ask(details, VOLTAGE.id)

    assert shown(values(result)) == wanted


async def test_bounds_come_once_over_several_answers() -> None:
    found = await Bench(past(10)).all(raw(2.5, 5.5, 1, bounds=True))

    assert found == [[2], [3], [4], [5], [6]]


@pytest.mark.parametrize(
    ("details", "more", "code"),
    [
        (raw(1, None), {}, "BadHistoryOperationInvalid"),
        (raw(None, None, 5), {}, "BadHistoryOperationInvalid"),
    ],
)
async def test_a_range_that_leaves_too_much_open_is_refused(details: Any, more: dict[str, Any], code: str) -> None:
    (result,) = await Bench(past(10)).ask(details, VOLTAGE.id, **more)

    assert result.StatusCode.name == code


@pytest.mark.parametrize(
    ("details", "timestamps", "code"),
    [
        (ua.ReadRawModifiedDetails(IsReadModified=True), 0, "BadHistoryOperationUnsupported"),
        (ua.ReadAtTimeDetails(), 0, "BadHistoryOperationUnsupported"),
        (ua.ReadEventDetails(), 0, "BadHistoryOperationUnsupported"),
        (raw(0, 5), 1, "BadTimestampNotSupported"),
        (raw(0, 5), 3, "BadTimestampsToReturnInvalid"),
    ],
)
async def test_what_the_history_has_not_is_refused(details: Any, timestamps: int, code: str) -> None:
    with pytest.raises(ServiceError) as refused:
        await Bench(past(10)).ask(details, VOLTAGE.id, TimestampsToReturn=ua.TimestampsToReturn(timestamps))

    assert refused.value.code == getattr(ua.StatusCodes, code)


async def test_nodes_without_a_past_are_refused_one_by_one() -> None:
    bench = Bench(past(10))
    results = await bench.ask(raw(0, 5), VOLTAGE.id, "m1", "m1.nothing", f"{VOLTAGE.id}.EngineeringUnits")

    assert [one.StatusCode.name for one in results] == ["Good", *["BadNodeIdUnknown"] * 3]


async def test_more_nodes_than_the_limit_are_refused() -> None:
    with pytest.raises(ServiceError):
        await Bench(past(1)).ask(raw(0, 5), *[VOLTAGE.id] * (MOST_NODES + 1))


async def test_a_history_that_cannot_be_read_now_says_so() -> None:
    bench = Bench(past(10))
    bench.port.failure = "disk on fire"
    (result,) = await bench.ask(raw(0, 5), VOLTAGE.id)

    assert result.StatusCode.name == "BadResourceUnavailable"


async def test_a_continuation_point_is_for_one_node_once_and_can_be_released() -> None:
    bench = Bench(past(10))
    (first,) = await bench.ask(raw(0, 9, 2), VOLTAGE.id)
    (other,) = await bench.ask(raw(0, 9, 2), ENERGY.id, point=first.ContinuationPoint)
    (again,) = await bench.ask(raw(0, 9, 2), VOLTAGE.id, point=first.ContinuationPoint)
    (kept,) = await bench.ask(raw(0, 9, 2), VOLTAGE.id)
    release = ua.HistoryReadParameters(
        NodesToRead=[ua.HistoryReadValueId(NodeId=ua.NodeId(VOLTAGE.id, 2), ContinuationPoint=kept.ContinuationPoint)],
        ReleaseContinuationPoints=True,
    )
    (released,) = await bench.histories.read(release, bench.rests)
    (gone,) = await bench.ask(raw(0, 9, 2), VOLTAGE.id, point=kept.ContinuationPoint)

    assert released.StatusCode.is_good()
    assert [one.StatusCode.name for one in (other, again, gone)] == ["BadContinuationPointInvalid"] * 3


# BARS I1
def test_continuation_points_are_bounded_and_the_newest_stay() -> None:
    rests = Rests[int]()
    points = [rests.put(number) for number in range(3 * MOST)]

    assert [rests.take(point) for point in points] == [None] * (2 * MOST) + list(range(2 * MOST, 3 * MOST))


async def test_too_many_rows_in_a_moment_are_an_error_and_not_for_ever() -> None:
    # no database has two rows of one time
    crowd = ListedPast({0: [Sample(float(n), Quality.GOOD, BEGIN_NS, 0) for n in range(2000)]})
    with pytest.raises(Failed):
        await rows(crowd, 0, Span(-1, BEGIN_NS + S, True), 5)

    assert len(crowd.asked) <= 100
