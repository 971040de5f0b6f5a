"""
ReadProperty and ReadPropertyMultiple answered from the model: request octets in, reply octets out.

`answer` returns None for whatever it does not know; the stack then answers. It never guesses. Clauses 15.5 and 15.7.
"""

from collections.abc import Callable

from bridge.projections.bacnet import wire
from bridge.projections.bacnet.model import Definition, DeviceModel, Entry, Slow
from bridge.projections.bacnet.multiple import WILDCARD_DEVICE, Failure, MultipleReads, OwnProperties

# Completes the table of a definition.
Seal = Callable[[Definition], None]
# PDU type octet and service octets: 0x30 ComplexACK, 0x50 Error.
Answer = tuple[int, bytes]
COMPLEX_ACK, ERROR = 0x30, 0x50


class Reads:
    """Answers the reads of one device. `seal` completes a definition's table on the first miss."""

    def __init__(self, device: DeviceModel, seal: Seal, own: OwnProperties) -> None:
        self.device = device
        self.catalogue = device.catalogue
        self._seal, self._properties = seal, own
        self._multiple = MultipleReads(device, self.entry, own)

    def entry(self, position: int, prop: int) -> Entry | None:
        """Look one property up; None means the object does not have it."""
        point = self.catalogue.points[position]
        entry = point.entries.get(prop)
        if entry is None and not point.sealed:
            self._seal(point)
            entry = point.entries.get(prop)
        return entry

    def answer(self, service: int, body: bytes) -> Answer | None:
        """Return the answer, or None to let the stack answer."""
        try:
            if service == wire.READ_PROPERTY:
                return self._read_property(body)
            if service == wire.READ_PROPERTY_MULTIPLE:
                out = self._multiple.answer(body)
                if out is None:
                    return None
                return (ERROR, out.octets) if isinstance(out, Failure) else (COMPLEX_ACK, out)
        except (OverflowError, ValueError):
            # a value its datatype cannot carry
            return None
        return None

    def _read_property(self, body: bytes) -> Answer | None:
        size = len(body)
        if size < 7 or body[0] != 0x0C:
            return None
        object_id = int.from_bytes(body[1:5], "big")
        if body[5] == 0x19:
            prop, end = body[6], 7
        elif body[5] == 0x1A and size >= 8:
            prop, end = body[6] << 8 | body[7], 8
        else:
            return None
        array_index = None
        if end != size:
            if body[end] & 0xF8 != 0x28 or body[end] & 7 > 4 or end + 1 + (body[end] & 7) != size:
                return None
            array_index = int.from_bytes(body[end + 1 :], "big")
        position = self.device.by_object_id.get(object_id)
        if position is None:
            if object_id in (self.device.object_id, WILDCARD_DEVICE):
                # the reply names the instance, whichever way it was asked (clause 15.5.1.1.1)
                return self._own(b"\x0c" + self.device.object_id.to_bytes(4, "big") + body[5:], prop, array_index)
            return None if self.device.is_own(object_id) else (ERROR, wire.UNKNOWN_OBJECT)
        entry = self.entry(position, prop)
        if entry is None:
            return ERROR, wire.UNKNOWN_PROPERTY
        if array_index is not None or isinstance(entry, Slow):
            return None
        value = entry if isinstance(entry, bytes) else entry(position)
        return COMPLEX_ACK, body + b"\x3e" + value + b"\x3f"

    def _own(self, body: bytes, prop: int, array_index: int | None) -> Answer | None:
        if prop == wire.OBJECT_LIST:
            return self._object_list(body, array_index)
        if array_index is not None:
            return None
        value = self._properties.octets(prop)
        if value is None:
            return ERROR, wire.UNKNOWN_PROPERTY
        return COMPLEX_ACK, body + b"\x3e" + value + b"\x3f"

    def _object_list(self, body: bytes, array_index: int | None) -> Answer:
        octets = self.device.object_list()
        if array_index is None:
            value = octets
        elif array_index == 0:
            value = wire.unsigned(len(octets) // 5)
        elif 5 * array_index <= len(octets):
            value = octets[5 * array_index - 5 : 5 * array_index]
        else:
            return ERROR, wire.INVALID_ARRAY_INDEX
        return COMPLEX_ACK, body + b"\x3e" + value + b"\x3f"
