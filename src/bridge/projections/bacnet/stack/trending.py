"""ReadRange and Trend Logs: records come from the history of the bridge when they are asked for; none is kept here."""

from datetime import datetime
from typing import Any

from bacpypes3.apdu import ComplexAckPDU
from bacpypes3.basetypes import DeviceObjectPropertyReference, PropertyIdentifier
from bacpypes3.constructeddata import List
from bacpypes3.errors import ExecutionError, PropertyError
from bacpypes3.object import TrendLogObject

from bridge.core.history import PAGE_MOST, HistoryPort, RecordPage
from bridge.projections.bacnet import wire
from bridge.projections.bacnet.plan import Trend
from bridge.projections.bacnet.stack.objects import PointObject, identifier, octets_of
from bridge.projections.bacnet.trends import TICK_NS, Chosen, Recorder, Wanted, counted, fitting, reply

# Octets of records in one reply, whatever the client would take: 700 of them.
_RECORDS_MOST = 16_000
# Octets of a reply beside the records.
_AROUND = 40
_COUNTS = (wire.RECORD_COUNT, wire.TOTAL_RECORD_COUNT)
# BACnetLoggingType: polled, cov.
_POLLED, _ON_CHANGE = 0, 1


class OurTrendLog(PointObject, TrendLogObject):
    """A Trend Log whose buffer is the history. `_extent`: asks for the numbers of its records."""

    _extent: Any

    async def read_property(self, attr: Any, index: Any = None) -> Any:
        """Raises: ExecutionError for the buffer, which only ReadRange reads (clause 12.25.14)."""
        prop = int(PropertyIdentifier(attr))
        if prop == wire.LOG_BUFFER:
            raise ExecutionError("property", "readAccessDenied")
        if prop in _COUNTS and index is None:
            page = await self._extent()
            total = page.newest if prop == wire.TOTAL_RECORD_COUNT else page.newest - page.oldest + 1
            return self._elements["recordCount"](total)
        return await super().read_property(attr, index)


class Trending:
    """Part of DeviceApplication."""

    model: Any
    history: HistoryPort
    asap: Any
    get_object_id: Any
    response: Any
    device_object: Any
    _recorders: dict[Any, Recorder]

    def trend_log(self, number: int) -> OurTrendLog:
        """Build one Trend Log."""
        catalogue = self.model.catalogue
        trend: Trend = catalogue.trends[number]
        device, point = self.device_object.objectIdentifier, identifier(catalogue.object_ids[trend.position])
        made = OurTrendLog(
            objectIdentifier=("trend-log", trend.instance),
            objectName=catalogue.trend_name(trend),
            description=f"History of {catalogue.name(trend.position)}",
            enable=True,
            stopWhenFull=False,
            bufferSize=trend.size,
            logBuffer=[],
            recordCount=0,
            totalRecordCount=0,
            loggingType=_POLLED if trend.interval else _ON_CHANGE,
            logInterval=trend.interval,
            logDeviceObjectProperty=DeviceObjectPropertyReference(
                objectIdentifier=point, propertyIdentifier="present-value", deviceIdentifier=device
            ),
            statusFlags=[0] * 4,
            eventState="normal",
            reliability="no-fault-detected",
        )
        made._extent = lambda: self._records(trend, 0, 0)
        return made

    async def _records(self, trend: Trend, first: int, most: int, since_ns: int | None = None) -> RecordPage:
        """Raises: ExecutionError when the history gives none."""
        page = await self.history.records(self.model.catalogue.indexes[trend.position], first, most, since_ns)
        if page.failure:
            raise ExecutionError("device", "operationalProblem")
        return page

    async def do_ReadRangeRequest(self, apdu: Any) -> None:
        """Answer with the records, or items of another list, that the client means."""
        object_id = int(apdu.objectIdentifier[0]) << 22 | apdu.objectIdentifier[1]
        prop, trend = int(apdu.propertyIdentifier), self.model.trends.get(object_id)
        room = min(self.asap.room_for(apdu) - _AROUND, _RECORDS_MOST)
        if trend is not None and prop == wire.LOG_BUFFER:
            if apdu.propertyArrayIndex is not None:
                raise PropertyError("propertyIsNotAnArray")
            oldest, newest, chosen = await self._log(self.model.catalogue.trends[trend], apdu.range, room)
        else:
            oldest, newest, chosen = await self._list(apdu, room)
        head = wire.context_object_id(0, object_id) + wire.context_unsigned(1, prop)
        numbered = apdu.range is not None and apdu.range.byPosition is None
        ack = ComplexAckPDU(wire.READ_RANGE, apdu.apduInvokeID, destination=apdu.pduSource)
        ack.put_data(reply(head, chosen, oldest, newest, numbered=numbered))
        await self.response(ack)

    async def _log(self, trend: Trend, range_: Any, room: int) -> tuple[int, int, Chosen]:
        if range_ is not None and range_.byTime is not None:
            page, wanted = await self._by_time(trend, range_.byTime)
        else:
            page = await self._records(trend, 0, 0)
            wanted = _wanted(range_, page.oldest, page.newest)
            first = max(wanted.first, wanted.last - PAGE_MOST + 1) if wanted.backwards else wanted.first
            most = min(wanted.last - first + 1, PAGE_MOST)
            if most > 0:
                page = await self._records(trend, first, most)
        recorder = self._recorder(trend)
        return page.oldest, page.newest, fitting([recorder.record(sample) for sample in page.samples], wanted, room)

    async def _by_time(self, trend: Trend, by_time: Any) -> tuple[RecordPage, Wanted]:
        """Records newer than a time, or older for a negative count."""
        count, since_ns = int(by_time.count), _utc_ns(by_time.referenceTime)
        if not count:
            raise ExecutionError("services", "parameterOutOfRange")
        most = min(abs(count), PAGE_MOST)
        if count > 0:
            page = await self._records(trend, 0, most, since_ns + TICK_NS)
            return page, Wanted(page.first, min(page.newest, page.first + count - 1), False)
        page = await self._records(trend, -most, most, since_ns)
        last = page.first + len(page.samples) - 1
        return page, Wanted(max(page.oldest, last + count + 1), last, True)

    async def _list(self, apdu: Any, room: int) -> tuple[int, int, Chosen]:
        """Items of a list that is no log, by position."""
        obj = self.get_object_id(apdu.objectIdentifier)
        if obj is None:
            raise ExecutionError("object", "unknownObject")
        if apdu.propertyIdentifier.attr not in obj._elements:
            raise PropertyError("unknownProperty")
        if not issubclass(obj.get_property_type(apdu.propertyIdentifier), List):
            raise ExecutionError("services", "propertyIsNotAList")
        if apdu.range is not None and apdu.range.byPosition is None:
            numbered = apdu.range.bySequenceNumber is not None
            raise PropertyError("listItemNotNumbered" if numbered else "listItemNotTimestamped")
        value = await obj.read_property(apdu.propertyIdentifier)
        if value is None:
            raise PropertyError("unknownProperty")
        wanted = _wanted(apdu.range, 1, len(value))
        items = [octets_of(item) for item in value[wanted.first - 1 : wanted.last]]
        return 1, len(value), fitting(items, wanted, room)

    def _recorder(self, trend: Trend) -> Recorder:
        shape = self.model.catalogue.points[trend.position].shape
        recorder = self._recorders.get(shape)
        if recorder is None:
            recorder = self._recorders[shape] = Recorder(shape)
        return recorder


def _wanted(range_: Any, oldest: int, newest: int) -> Wanted:
    """Raises: ExecutionError for a count of zero."""
    if range_ is None:
        return Wanted(oldest, newest, False)
    by_position, by_number = range_.byPosition, range_.bySequenceNumber
    if by_position is not None:
        reference, count = oldest + int(by_position.referenceIndex) - 1, int(by_position.count)
    else:
        reference, count = int(by_number.referenceSequenceNumber), int(by_number.count)
    if not count:
        raise ExecutionError("services", "parameterOutOfRange")
    return counted(reference, count, oldest, newest)


def _utc_ns(given: Any) -> int:
    """Return the time a DateTime on the device's own clock means. Raises: ExecutionError for one that is not whole."""
    date, time = tuple(given.date), tuple(given.time)
    try:
        at = datetime(1900 + date[0], date[1], date[2], time[0], time[1], time[2])  # noqa: DTZ001 - local time is meant
        return round(at.timestamp()) * 10**9 + int(time[3]) * TICK_NS
    except (ValueError, OverflowError, OSError) as exc:
        raise ExecutionError("services", "parameterOutOfRange") from exc
