"""WriteProperty and WritePropertyMultiple: everything is refused but the present value of what may be written."""

import contextlib
import logging
import struct
from typing import Any

from bacpypes3.apdu import ErrorPDU, SimpleAckPDU, WritePropertyMultipleError
from bacpypes3.basetypes import ErrorType, ObjectPropertyReference, PropertyIdentifier
from bacpypes3.errors import ExecutionError
from bacpypes3.primitivedata import TagClass

from bridge.core.command import Origin
from bridge.core.ports import RefusalSink
from bridge.projections.bacnet import wire
from bridge.projections.bacnet.commands import ACCESS_DENIED, Refusal, WireError
from bridge.projections.bacnet.plan import BINARIES, MULTI_STATES, REALS, ObjectType
from bridge.projections.bacnet.values import Shown

_log = logging.getLogger("bridge.bacnet")
# Application tags, clause 20.2.1.4.
_NULL, _UNSIGNED, _REAL, _DOUBLE, _CHARACTER_STRING, _ENUMERATED = 0, 2, 4, 5, 7, 9
_TAGS = {
    **dict.fromkeys(REALS, _REAL),
    **dict.fromkeys(BINARIES, _ENUMERATED),
    **dict.fromkeys(MULTI_STATES, _UNSIGNED),
    ObjectType.LARGE_ANALOG_VALUE: _DOUBLE,
    ObjectType.CHARACTERSTRING_VALUE: _CHARACTER_STRING,
}
_UNKNOWN_OBJECT = WireError("object", "unknownObject")
_UNKNOWN_PROPERTY = WireError("property", "unknownProperty")
_INVALID_TYPE = WireError("property", "invalidDataType")


class Writing:
    """Part of DeviceApplication."""

    model: Any
    commands: Any
    counters: dict[str, int]
    refusals: RefusalSink
    get_object_id: Any
    response: Any

    async def do_WritePropertyRequest(self, apdu: Any) -> None:
        """Answer with the true outcome."""
        try:
            await self._write(
                apdu.pduSource,
                apdu.objectIdentifier,
                apdu.propertyIdentifier,
                apdu.propertyArrayIndex,
                apdu.propertyValue,
                apdu.priority,
            )
        except Refusal as refusal:
            raise ExecutionError(refusal.error_class, refusal.error_code) from refusal
        await self.response(SimpleAckPDU(context=apdu))

    async def do_WritePropertyMultipleRequest(self, apdu: Any) -> None:
        """Write in order, stop at the first that fails (clause 15.10)."""
        for specification in apdu.listOfWriteAccessSpecs:
            for item in specification.listOfProperties:
                try:
                    await self._write(
                        apdu.pduSource,
                        specification.objectIdentifier,
                        item.propertyIdentifier,
                        item.propertyArrayIndex,
                        item.value,
                        item.priority,
                    )
                except Refusal as refusal:
                    await self.response(_first_failed(apdu, specification, item, refusal))
                    return
        await self.response(SimpleAckPDU(context=apdu))

    async def _write(self, source: Any, object_id: Any, prop: Any, array_index: Any, value: Any, priority: Any) -> None:
        try:
            position = self._target(object_id, prop, array_index)
            shape = self.model.catalogue.points[position].shape
            if not shape.writable:
                raise Refusal(ACCESS_DENIED)
            shown = _shown(value, shape.object_type)
            await self.commands.write(position, shown, None if priority is None else int(priority), str(source))
        except Refusal as refusal:
            if refusal.by_core:
                self.counters["writes_refused"] += 1
            else:
                self.refuse(source, self._named(object_id, prop), refusal.error_code)
            raise
        self.counters["writes"] += 1

    def refuse(self, source: Any, target: str, reason: str) -> None:
        """Have a refused attempt to change something counted, logged now and then, and recorded by the core."""
        count = self.counters["writes_refused"] = self.counters["writes_refused"] + 1
        if count & (count - 1) == 0:
            _log.warning("write_refused peer=%s target=%s error=%s count=%d", source, target, reason, count)
        self.refusals.refused(Origin("bacnet", str(source), ""), target, reason)

    def _named(self, object_id: Any, prop: Any) -> str:
        position = self.model.by_object_id.get(int(object_id[0]) << 22 | object_id[1])
        if position is not None and int(prop) == wire.PRESENT_VALUE:
            return str(self.model.catalogue.point(position).id)
        return f"{object_id[0]} {object_id[1]} {prop}"

    def _target(self, object_id: Any, prop: Any, array_index: Any) -> int:
        obj = self.get_object_id(object_id)
        if obj is None:
            raise Refusal(_UNKNOWN_OBJECT)
        if PropertyIdentifier(prop).attr not in obj._elements:
            raise Refusal(_UNKNOWN_PROPERTY)
        position = self.model.by_object_id.get(int(object_id[0]) << 22 | object_id[1])
        if position is None or int(prop) != wire.PRESENT_VALUE or array_index is not None:
            raise Refusal(ACCESS_DENIED)
        return int(position)


def _shown(value: Any, kind: ObjectType) -> Shown | None:
    """Decode one value of the datatype of the object; None is Null. Raises: Refusal for anything else."""
    tags = [tag for tag in value.tagList if tag.tag_class not in (TagClass.opening, TagClass.closing)]
    if len(tags) != 1 or tags[0].tag_class != TagClass.application:
        raise Refusal(_INVALID_TYPE)
    number, octets = int(tags[0].tag_number), bytes(tags[0].tag_data)
    if number == _NULL:
        return None
    if number != _TAGS.get(kind):
        raise Refusal(_INVALID_TYPE)
    if number in (_UNSIGNED, _ENUMERATED) and 1 <= len(octets) <= 8:
        return int.from_bytes(octets, "big")
    if number in (_REAL, _DOUBLE) and len(octets) == (4 if number == _REAL else 8):
        decoded: float = struct.unpack(">f" if number == _REAL else ">d", octets)[0]
        return decoded
    if number == _CHARACTER_STRING and octets[:1] == b"\x00":
        with contextlib.suppress(UnicodeDecodeError):
            return octets[1:].decode()
    raise Refusal(_INVALID_TYPE)


def _first_failed(apdu: Any, specification: Any, item: Any, refusal: Refusal) -> Any:
    failed = ObjectPropertyReference(
        objectIdentifier=specification.objectIdentifier,
        propertyIdentifier=item.propertyIdentifier,
    )
    if item.propertyArrayIndex is not None:
        failed.propertyArrayIndex = item.propertyArrayIndex
    error: ErrorPDU = WritePropertyMultipleError(
        errorType=ErrorType(errorClass=refusal.error_class, errorCode=refusal.error_code),
        firstFailedWriteAttempt=failed,
        context=apdu,
    )
    return error
