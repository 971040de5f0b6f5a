"""
One datagram in, at most one out: which version, which community, then the responder.

A pure function of the datagram, the peer's address, the rows and the engine's clock.
"""

from collections.abc import Iterable

from bridge.projections.snmp.ber import OCTET_STRING, SEQUENCE, BerError, enter, read_integer, read_octets, tlv
from bridge.projections.snmp.counters import Counters
from bridge.projections.snmp.oidtree import Tree
from bridge.projections.snmp.pdu import SET, parse_pdu
from bridge.projections.snmp.responder import Pending, RefusedSet, Responder, Sealed, Version
from bridge.projections.snmp.v3 import V3
from bridge.projections.snmp.views import MAX_COMMUNITY_BYTES, Community, Grant, Window

# Bytes of the largest message sent: UDP over IPv4 in one Ethernet frame.
MAX_MESSAGE = 1472
# Bytes around the PDU of v1 and v2c, without the community: outer header 4, version 3, community's header 2.
_OVERHEAD = 9
_VERSIONS = {0: Version.V1, 1: Version.V2}
_V3 = 3


class Agent:
    """One thread only."""

    def __init__(
        self,
        counters: Counters,
        responder: Responder,
        communities: Iterable[Community] = (),
        v3: V3 | None = None,
        max_message: int = MAX_MESSAGE,
    ) -> None:
        self.counters = counters
        self._responder = responder
        self._communities = {community.name: community for community in communities}
        self._windows: dict[bytes, Window] = {}
        self._v3 = v3
        self._max_message = max_message

    def show(self, tree: Tree) -> None:
        """Serve this tree from now on."""
        made: dict[Grant, Window] = {}
        for name, community in self._communities.items():
            if community.grant not in made:
                made[community.grant] = Window(tree, community.grant)
            self._windows[name] = made[community.grant]
        if self._v3 is not None:
            self._v3.show(tree)

    def take_refused(self) -> RefusedSet | None:
        """Return the SET that the last datagram brought and that was refused here, once."""
        refused, self._responder.refused = self._responder.refused, None
        return refused

    def handle(self, data: bytes, peer: str, barred: bool = False) -> bytes | Sealed | None:
        """
        Return the reply to a datagram from the address `peer`, if it gets one, or the SET to carry out.

        `barred`: only a v3 message with a good digest is answered, because an address may be forged.
        """
        self.counters.in_packets += 1
        try:
            return self._answer(data, peer, barred)
        except BerError:
            self.counters.in_parse_errors += 1
            return None

    def _answer(self, data: bytes, peer: str, barred: bool) -> bytes | Sealed | None:
        at, end = enter(data, 0, len(data), SEQUENCE)
        if end != len(data):
            raise BerError("bytes behind the message")
        number, at = read_integer(data, at, end)
        version = _VERSIONS.get(number)
        if version is None:
            if number == _V3 and self._v3 is not None:
                return self._v3.handle(data, at, barred)
            self.counters.in_bad_versions += 1
            return None
        if barred:
            self.counters.limited += 1
            return None
        name, at = read_octets(data, at, end, MAX_COMMUNITY_BYTES)
        community = self._communities.get(name)
        if community is None or not community.admits(peer):
            self.counters.in_bad_communities += 1
            return None
        request = parse_pdu(data, at, end)
        if request.kind == SET and not community.grant.write.subtrees:
            self.counters.in_bad_uses += 1
        room = self._max_message - _OVERHEAD - len(name)
        pdu = self._responder.respond(request, self._windows[name], version, room, community.label)
        if isinstance(pdu, Pending):
            return Sealed(pdu, community.label, lambda late: _message(number, name, late))
        return None if pdu is None else _message(number, name, pdu)


def _message(number: int, community: bytes, pdu: bytes) -> bytes:
    return tlv(SEQUENCE, bytes((2, 1, number)) + tlv(OCTET_STRING, community) + pdu)
