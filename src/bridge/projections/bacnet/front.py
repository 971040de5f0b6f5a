"""
The datagram front: answers what the model can before the stack is asked.

The rule: anything not recognised octet by octet goes to the stack unchanged. Annex J (BVLL), clauses 6.2 and 20.1.
"""

import struct
from collections.abc import Callable
from typing import Protocol

from bridge.projections.bacnet import wire
from bridge.projections.bacnet.reads import Reads

Peer = tuple[str, int]
_RP = struct.Struct(">IHBBBBBIBB").unpack_from
# 81 0a, length 17: an unrouted ReadProperty with a one-octet property id.
_RP_HEAD = 0x810A0011
_LOCAL = 0x0104


class Acknowledgements(Protocol):
    def acknowledged(self, peer: object, pdu_type: int, invoke_id: int) -> bool:
        """Take an acknowledgement; False when it is not ours."""
        ...


class Front:
    """
    Loop thread only. `pass_on` takes what the front does not know; `is_silent` tells whether DeviceCommunicationControl
    forbids to answer.
    """

    def __init__(
        self,
        own: Reads,
        acknowledgements: Acknowledgements,
        is_silent: Callable[[], bool],
        pass_on: Callable[[bytes, Peer], None],
        counters: dict[str, int],
    ) -> None:
        self._own, self._points, self._by_object_id = own, own.catalogue.points, own.device.by_object_id
        self._acknowledgements, self._is_silent, self._pass_on = acknowledgements, is_silent, pass_on
        self._counters = counters
        # DNET, DLEN and DADR -> reads of the virtual device behind this router, and whether it may not answer.
        self.virtual: dict[bytes, tuple[Reads, Callable[[], bool]]] = {}
        # Composes a device that nobody has asked for yet; None for one that is not there.
        self.find: Callable[[bytes], tuple[Reads, Callable[[], bool]] | None] = _nobody
        self.send: Callable[[bytes, Peer], None] = _nowhere
        self.enabled = True

    def received(self, data: bytes, addr: Peer) -> None:
        """Take one datagram."""
        self._counters["requests"] += 1
        if len(data) == 17 and self.enabled:
            head, npdu, pdu, _limit, _invoke, service, tag, object_id, tag2, prop = _RP(data)
            if (
                head == _RP_HEAD
                and npdu == _LOCAL
                and service == 12
                and tag == 0x0C
                and tag2 == 0x19
                and not pdu & 0xF8
                and self._read(data, addr, object_id, prop)
            ):
                return
        if not (self.enabled and self._answered(data, addr)):
            self._pass_on(data, addr)

    def _read(self, data: bytes, addr: Peer, object_id: int, prop: int) -> bool:
        position = self._by_object_id.get(object_id)
        if position is None or self._is_silent():
            return False
        entry = self._points[position].entries.get(prop)
        if entry.__class__ is not bytes:
            if not callable(entry):
                return False
            try:
                entry = entry(position)
            except (OverflowError, ValueError):
                # a value its datatype cannot carry
                return False
        # fits the smallest APDU, 50 octets
        if len(entry) > 39:
            return False
        self.send(b"\x81\x0a\x00%c\x01\x00\x30%b\x3e%b\x3f" % (18 + len(entry), data[8:17], entry), addr)
        return True

    def _answered(self, data: bytes, addr: Peer) -> bool:
        size = len(data)
        if size < 9 or data[0] != 0x81 or data[1] != 0x0A or data[4] != 1 or data[2] << 8 | data[3] != size:
            return False
        control = data[5]
        if control == 0x04:
            start, reads, is_silent, reply_npdu = 6, self._own, self._is_silent, b"\x01\x00"
        elif control == 0x24:
            # DNET, DLEN, DADR, hop count: for a virtual device behind us; the reply carries its SNET and SADR
            start = 10 + data[8]
            route = data[6 : start - 1]
            found = self.virtual.get(route) or self.find(route)
            if found is None or size < start + 4:
                return False
            (reads, is_silent), reply_npdu = found, b"\x01\x08" + data[6 : start - 1]
        elif control in (0x00, 0x20):
            return self._acknowledged(data, addr)
        else:
            return False
        if size < start + 5 or data[start] & 0xF8 or is_silent():
            return False
        reply = reads.answer(data[start + 3], data[start + 4 :])
        if reply is None:
            return False
        kind, body = reply
        if len(body) + 3 > wire.APDU_LIMITS[data[start + 1] & 15]:
            return False
        total = 4 + len(reply_npdu) + 3 + len(body)
        head = b"\x81\x0a%b%b%c%b" % (total.to_bytes(2, "big"), reply_npdu, kind, data[start + 2 : start + 4])
        self.send(head + body, addr)
        return True

    def _acknowledged(self, data: bytes, addr: Peer) -> bool:
        """SimpleACK, Error, Reject or Abort for one of our notifications."""
        start, source = 6, b""
        if data[5] == 0x20:
            start = 10 + data[8]
            source = data[6 : start - 1]
            if len(data) < start + 3:
                return False
        if data[start] >> 4 not in (2, 5, 6, 7):
            return False
        return self._acknowledgements.acknowledged((addr, source), data[start] >> 4, data[start + 1])


def _nobody(_route: bytes) -> None:
    return


def _nowhere(_data: bytes, _addr: Peer) -> None:
    return
