"""Who may ask what: ordered rules over client, device, function and registers; the first that matches decides. Pure."""

import ipaddress
from collections.abc import Mapping, Sequence

from bridge.gateway.modbus.plan import PlannedRule, Spans
from bridge.gateway.modbus.settings import Access
from bridge.modbus.request import Extent, RequestError, only_reads, touched

ALLOWED, ILLEGAL_FUNCTION, ILLEGAL_VALUE = 0, 0x01, 0x03
# decisions kept: a client asks the same few questions over and over
_REMEMBERED = 4096


class _Compiled:
    def __init__(self, rule: PlannedRule) -> None:
        self.access = rule.access
        self.networks = [ipaddress.ip_network(network, strict=False) for network in rule.clients]
        self.targets = frozenset(rule.targets)
        self.channels = frozenset(rule.channels)
        self.functions = frozenset(rule.functions)
        self.units, self.registers = rule.units, rule.registers

    def matches(self, client: str, channel: str, unit: int, function: int, extents: Sequence[Extent]) -> bool:
        if self.functions and function not in self.functions:
            return False
        if not _inside(self.units, unit, 1) or (self.channels and channel not in self.channels):
            return False
        if self.targets and (channel, unit) not in self.targets:
            return False
        if self.registers and not self._hits(extents):
            return False
        return not self.networks or self._knows(client)

    def _hits(self, extents: Sequence[Extent]) -> bool:
        """Allow what lies wholly inside; refuse what touches anything inside."""
        if self.access is Access.ALLOW:
            return bool(extents) and all(_inside(self.registers, e.address, e.count) for e in extents)
        return any(e.overlaps(low, high - low + 1) for e in extents for low, high in self.registers)

    def _knows(self, client: str) -> bool:
        try:
            address = ipaddress.ip_address(client.partition("%")[0])
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in self.networks)


class Policy:
    """What no rule matches may only read. A role narrows that further, never widens it."""

    def __init__(self, rules: Sequence[PlannedRule], roles: Mapping[str, Sequence[int]]) -> None:
        self._rules = [_Compiled(rule) for rule in rules]
        self._roles = {role: frozenset(functions) for role, functions in roles.items()}
        self._decided: dict[tuple[str, str, int, bytes], int] = {}

    def refusal(self, client: str, channel: str, unit: int, pdu: bytes) -> int:
        """Return ALLOWED, or the exception code that refuses the request. `client`: its address."""
        if not self._rules and len(pdu) == 5 and pdu[0] in (3, 4):
            # nearly all that a gateway is ever asked
            count = pdu[3] << 8 | pdu[4]
            if 0 < count <= 125 and (pdu[1] << 8 | pdu[2]) + count <= 0x10000:
                return ALLOWED
        key = client, channel, unit, pdu
        code = self._decided.get(key)
        if code is None:
            if len(self._decided) >= _REMEMBERED:
                self._decided.clear()
            code = self._decided[key] = self._decide(client, channel, unit, pdu)
        return code

    def role_allows(self, role: str, function: int) -> bool:
        return function in self._roles.get(role, frozenset())

    def _decide(self, client: str, channel: str, unit: int, pdu: bytes) -> int:
        try:
            extents = touched(pdu)
        except RequestError:
            return ILLEGAL_VALUE
        for rule in self._rules:
            if rule.matches(client, channel, unit, pdu[0], extents):
                return ALLOWED if rule.access is Access.ALLOW else ILLEGAL_FUNCTION
        return ALLOWED if only_reads(pdu) else ILLEGAL_FUNCTION


def _inside(spans: Spans, first: int, count: int) -> bool:
    return any(low <= first and first + count - 1 <= high for low, high in spans)
