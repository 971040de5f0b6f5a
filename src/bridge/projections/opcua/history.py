"""
HistoryRead of raw values (OPC 10000-11, 6.5.3), from the history of the bridge.

    HistoryData: count i32 | count x DataValue
Times are exact to the microsecond in OPC UA (as far as the library reads them) and to the nanosecond in the history.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.ua.ua_binary import nodeid_to_binary
from asyncua.ua.uaprotocol_auto import ReadRawModifiedDetails

from bridge.core.history import PAGE_MOST, HistoryPort
from bridge.core.point import Sample
from bridge.projections.opcua.binary import I4, NULL_VARIANT, Timestamps, data_value
from bridge.projections.opcua.image import Image
from bridge.projections.opcua.past import Failed, Span, rows
from bridge.projections.opcua.rests import Rests
from bridge.projections.opcua.status import BAD_BOUND_NOT_FOUND, BAD_DATA_LOST

# Nodes of one request (MaxNodesPerHistoryReadData).
MOST_NODES = 100
# Values of one node in one answer (MaxReturnDataValues); the rest follows with a continuation point.
MOST_VALUES = PAGE_MOST
# Questions to the core at once: the port takes eight.
_AT_ONCE = 6
_codes = ua.StatusCodes
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
# A DateTime of 0: not given
_NEVER = datetime(1601, 1, 1, tzinfo=UTC)
_LATEST_NS = 1 << 62
_US_NS = 1000
_NO_HISTORY = _codes.BadHistoryOperationUnsupported


@dataclass(frozen=True, slots=True)
class Reading:
    """
    What is left to read of one node. `left`: values still wanted, -1 = all. `per`: values of one answer, 0 = no limit
    of the client's. `opening_ns`, `closing_ns`: times of the bounds that are still owed, -1 = none.
    """

    slot: int
    span: Span
    left: int
    per: int
    opening_ns: int = -1
    closing_ns: int = -1


class Histories:
    """Loop thread only."""

    def __init__(self, port: HistoryPort, image: Image) -> None:
        self._port, self._image = port, image
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def read(self, params: ua.HistoryReadParameters, rests: Rests[Reading]) -> list[ua.HistoryReadResult]:
        """Raises: ServiceError."""
        nodes = params.NodesToRead or ()
        if not nodes:
            raise ServiceError(_codes.BadNothingToDo)
        if len(nodes) > MOST_NODES:
            raise ServiceError(_codes.BadTooManyOperations)
        if params.ReleaseContinuationPoints:
            for node in nodes:
                rests.take(bytes(node.ContinuationPoint or b""))
            return [ua.HistoryReadResult() for _ in nodes]
        details, timestamps = params.HistoryReadDetails, int(params.TimestampsToReturn)
        if not isinstance(details, ReadRawModifiedDetails) or details.IsReadModified:
            raise ServiceError(_codes.BadHistoryOperationUnsupported)
        if timestamps not in (Timestamps.SOURCE, Timestamps.BOTH):
            # no row has the time of a server
            bad = timestamps >= Timestamps.NEITHER
            raise ServiceError(_codes.BadTimestampsToReturnInvalid if bad else _codes.BadTimestampNotSupported)
        return [await self._read(node, details, rests) for node in nodes]

    async def _read(self, node: Any, details: Any, rests: Rests[Reading]) -> ua.HistoryReadResult:
        slot = self._image.find(bytes(nodeid_to_binary(node.NodeId)))
        if slot is None:
            return _refused(_codes.BadNodeIdUnknown if node.NodeId.NamespaceIndex else _NO_HISTORY)
        if node.IndexRange:
            return _refused(_codes.BadIndexRangeNoData)
        if node.DataEncoding.Name not in (None, "", "Default Binary"):
            return _refused(_codes.BadDataEncodingUnsupported)
        reading = reading_of(slot, details)
        if node.ContinuationPoint:
            reading = rests.take(bytes(node.ContinuationPoint))
            if reading is None or reading.slot != slot:
                return _refused(_codes.BadContinuationPointInvalid)
        if reading is None:
            return _refused(_codes.BadHistoryOperationInvalid)
        try:
            async with self._turn:
                return await self._page(reading, rests)
        except Failed:
            return _refused(_codes.BadResourceUnavailable)

    async def _page(self, reading: Reading, rests: Rests[Reading]) -> ua.HistoryReadResult:
        index, span = reading.slot >> 1, reading.span
        most = min(reading.per or MOST_VALUES, MOST_VALUES, *([reading.left] if reading.left >= 0 else []))
        values: list[bytes] = []
        if reading.opening_ns >= 0:
            values += await self._opening(reading)
        found: Sequence[Sample] = ()
        more = len(values) >= most
        if not more:
            found, more = await rows(self._port, index, span, most - len(values))
        values += [self._encoded(reading.slot, sample) for sample in found]
        left = -1 if reading.left < 0 else reading.left - len(values)
        closing_ns = reading.closing_ns
        if closing_ns >= 0 and not more and len(values) < most:
            values.append(await self._bound(reading.slot, closing_ns, not span.newest_first))
            closing_ns = -1
        result = ua.HistoryReadResult()
        if left and (more or closing_ns >= 0):
            end_ns = found[-1].source_ns if found else (span.before_ns if span.newest_first else span.after_ns)
            rest = Reading(reading.slot, span.behind(end_ns), left, reading.per, closing_ns=closing_ns)
            result.ContinuationPoint = rests.put(rest)
        elif not values:
            result.StatusCode = ua.StatusCode(_codes.GoodNoData)
        result.HistoryData = _history_data(values)
        return result

    async def _opening(self, reading: Reading) -> list[bytes]:
        """Return the bound before the first value, or nothing where a value is at that very time."""
        at_ns, backwards = reading.opening_ns, reading.span.newest_first
        first, _ = await rows(self._port, reading.slot >> 1, reading.span, 1)
        if first and first[0].source_ns // _US_NS == at_ns // _US_NS:
            return []
        return [await self._bound(reading.slot, at_ns, backwards)]

    async def _bound(self, slot: int, at_ns: int, later: bool) -> bytes:
        """Return the value next to a time, on the side where the range does not reach."""
        span = Span(at_ns - 1, _LATEST_NS) if later else Span(-1, at_ns + _US_NS, True)
        found, _ = await rows(self._port, slot >> 1, span, 1)
        if found:
            return self._encoded(slot, found[0])
        return data_value(NULL_VARIANT, BAD_BOUND_NOT_FOUND, at_ns, Timestamps.SOURCE)

    def _encoded(self, slot: int, sample: Sample) -> bytes:
        if sample.value is None:
            # the meter, or the bridge, was away from here on
            return data_value(NULL_VARIANT, BAD_DATA_LOST, sample.source_ns, Timestamps.SOURCE)
        return self._image.encode(slot, sample, Timestamps.SOURCE)


def reading_of(slot: int, details: Any) -> Reading | None:
    """Return what a request wants (OPC 10000-11, 6.5.3.2); None when it leaves too much open."""
    start, end, count = _ns(details.StartTime), _ns(details.EndTime), int(details.NumValuesPerNode)
    if sum((start is not None, end is not None, count > 0)) < 2:
        return None
    opening, closing = -1, -1
    if details.ReturnBounds:
        opening = start if start is not None else -1 if end is None else end
        closing = end if end is not None and start is not None else -1
    if start is None:
        assert end is not None
        return Reading(slot, Span(-1, end + _US_NS, True), count, count, opening)
    if end is None:
        return Reading(slot, Span(start - 1, _LATEST_NS), count, count, opening)
    if start > end:
        return Reading(slot, Span(end + _US_NS - 1, start + _US_NS, True), -1, count, opening, closing)
    before = end if start < end else end + _US_NS
    return Reading(slot, Span(start - 1, before), -1, count, opening, closing)


def _ns(moment: datetime | None) -> int | None:
    """Return UTC ns, not below 0; None for a time that is not given."""
    if moment is None:
        return None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    if moment <= _NEVER:
        return None
    return min(max((moment - _EPOCH) // _MICROSECOND * _US_NS, 0), _LATEST_NS)


def _history_data(values: Sequence[bytes]) -> ua.ExtensionObject:
    kind = ua.NodeId(ua.ObjectIds.HistoryData_Encoding_DefaultBinary)
    return ua.ExtensionObject(kind, I4.pack(len(values)) + b"".join(values))


def _refused(code: int) -> ua.HistoryReadResult:
    return ua.HistoryReadResult(StatusCode=ua.StatusCode(code))
