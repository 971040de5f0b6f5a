"""Reads of what the short way leaves to the library, to the letter of OPC 10000-4, 5.11.2."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from asyncua import ua
from asyncua.server.address_space import AddressSpace, AttributeService

from bridge.projections.opcua.binary import Timestamps

_codes, _ids = ua.StatusCodes, ua.AttributeIds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Attributes(AttributeService):
    """`utc_ns`: now. What clients write goes another way (`session.Session.write`)."""

    def __init__(self, aspace: AddressSpace, utc_ns: Callable[[], int]) -> None:
        super().__init__(aspace)
        self._utc_ns = utc_ns

    def read(self, params: ua.ReadParameters) -> list[ua.DataValue]:
        """Raises: UaStatusCodeError."""
        if not params.MaxAge >= 0:
            raise ua.UaStatusCodeError(_codes.BadMaxAgeInvalid)
        if int(params.TimestampsToReturn) > Timestamps.NEITHER:
            raise ua.UaStatusCodeError(_codes.BadTimestampsToReturnInvalid)
        if not params.NodesToRead:
            raise ua.UaStatusCodeError(_codes.BadNothingToDo)
        now = _EPOCH + timedelta(microseconds=self._utc_ns() // 1000)
        return [self._read(wanted, int(params.TimestampsToReturn), now) for wanted in params.NodesToRead]

    def _read(self, wanted: ua.ReadValueId, timestamps: int, now: datetime) -> ua.DataValue:
        found = self._aspace.read_attribute_value(wanted.NodeId, wanted.AttributeId)
        if wanted.AttributeId != _ids.Value:
            if wanted.DataEncoding.Name or wanted.IndexRange:
                code = _codes.BadDataEncodingInvalid if wanted.DataEncoding.Name else _codes.BadIndexRangeNoData
                return ua.DataValue(StatusCode=ua.StatusCode(code))
            return dataclasses.replace(found, SourceTimestamp=None, ServerTimestamp=None)
        if wanted.DataEncoding.Name not in (None, "", "Default Binary"):
            return ua.DataValue(StatusCode=ua.StatusCode(_codes.BadDataEncodingUnsupported))
        if wanted.IndexRange:
            found = _in_range(found, wanted.IndexRange)
        source = found.SourceTimestamp if timestamps in (Timestamps.SOURCE, Timestamps.BOTH) else None
        server = now if timestamps in (Timestamps.SERVER, Timestamps.BOTH) else None
        return dataclasses.replace(found, SourceTimestamp=source, ServerTimestamp=server)


def _in_range(found: ua.DataValue, index_range: str) -> ua.DataValue:
    """Return part of an array; we have arrays of one dimension only."""
    ends = index_range.split(":")
    if not all(end.isascii() and end.isdigit() and len(end) < 10 for end in ends) or len(ends) > 2:
        return ua.DataValue(StatusCode=ua.StatusCode(_codes.BadIndexRangeInvalid))
    first, last = int(ends[0]), int(ends[-1])
    if len(ends) == 2 and first >= last:
        return ua.DataValue(StatusCode=ua.StatusCode(_codes.BadIndexRangeInvalid))
    value = found.Value.Value if found.Value is not None else None
    if not isinstance(value, list) or first >= len(value):
        return ua.DataValue(StatusCode=ua.StatusCode(_codes.BadIndexRangeNoData))
    assert found.Value is not None
    part = ua.Variant(value[first : last + 1], found.Value.VariantType)
    return dataclasses.replace(found, Value=part)
