"""
What becomes of one request, whatever listener it came by (ION7400 rules, seed 004).

Unit ids: 1..247 by the routes of the door; 0 = broadcast, never answered when it went out; 248 = the only device of a
one-device door; 255 = the bridge itself; the rest does not exist (exception 0x0A). A silent device gives 0x0B.
"""

from collections.abc import Callable
from dataclasses import dataclass

from bridge.core.clock import Clock
from bridge.core.errors import RawFailure, RawRefused
from bridge.gateway.modbus.line import GatewayLine
from bridge.gateway.modbus.own import OwnUnit
from bridge.gateway.modbus.plan import BROADCAST_UNIT, ONLY_DEVICE_UNIT, OWN_UNIT, Door, Plan, Route
from bridge.gateway.modbus.policy import ALLOWED, ILLEGAL_FUNCTION, Policy
from bridge.gateway.modbus.refusals import Refusals
from bridge.gateway.modbus.traffic import Traffic
from bridge.modbus.frame import EXCEPTION_BIT, exception_pdu
from bridge.modbus.request import only_reads

SERVER_BUSY, NO_PATH, NO_REPLY = 0x06, 0x0A, 0x0B
_CODES = {
    RawFailure.REFUSED_BY_POLICY: (ILLEGAL_FUNCTION, "refused_core"),
    RawFailure.NOT_GRANTED: (ILLEGAL_FUNCTION, "refused_core"),
    RawFailure.BUSY: (SERVER_BUSY, "busy"),
    RawFailure.TIMED_OUT: (NO_REPLY, "no_reply"),
    RawFailure.BAD_REPLY: (NO_REPLY, "no_reply"),
}
_NO_PATH = NO_PATH, "no_path"


@dataclass(frozen=True, slots=True)
class Client:
    """`name`: address and port, the key of fairness. `address`: for the policy. `role`: of its certificate."""

    name: str
    address: str
    door: int
    role: str | None = None


class Router:
    """Loop thread only. `open_line` makes the one GatewayLine of a channel."""

    def __init__(
        self,
        plan: Plan,
        open_line: Callable[[str], GatewayLine],
        policy: Policy,
        own: OwnUnit,
        traffic: Traffic,
        clock: Clock,
    ) -> None:
        self._doors, self._policy, self._own, self.traffic = plan.doors, policy, own, traffic
        self._refusals = Refusals(clock)
        channels = {route.channel for door in plan.doors for route in (*door.routes.values(), door.only) if route}
        channels.update(channel for door in plan.doors for channel in door.broadcast)
        self.lines = {channel: open_line(channel) for channel in sorted(channels)}

    async def reply(self, client: Client, unit_id: int, pdu: bytes) -> bytes | None:
        """Return the reply PDU, None when there is none to give (a broadcast that went out)."""
        door, function = self._doors[client.door], pdu[0]
        if function & EXCEPTION_BIT:
            return exception_pdu(function & ~EXCEPTION_BIT, ILLEGAL_FUNCTION)
        if client.role is not None and not self._policy.role_allows(client.role, function):
            return self._refused(client, unit_id, pdu, "role")
        if not only_reads(pdu) and self._refusals.too_many(client.address):
            return self._refused(client, unit_id, pdu, "too many refusals")
        if unit_id == OWN_UNIT:
            self.traffic.write_refused(
                client.address, unit_id, pdu, "the bridge itself has nothing to write", client.role or ""
            )
            return self._own.reply(pdu)
        if unit_id == BROADCAST_UNIT:
            return await self._broadcast(client, door, pdu)
        route = door.only if unit_id == ONLY_DEVICE_UNIT else door.routes.get(unit_id)
        if route is None:
            self.traffic.count("no_path")
            self.traffic.write_refused(client.address, unit_id, pdu, "no such unit id", client.role or "")
            return exception_pdu(function, NO_PATH)
        code = self._policy.refusal(client.address, route.channel, route.unit, pdu)
        if code != ALLOWED:
            return self._refused(client, unit_id, pdu, f"unit {route.unit} of {route.channel}", code)
        return await self._ask(client, unit_id, route, pdu)

    async def _ask(self, client: Client, unit_id: int, route: Route, pdu: bytes) -> bytes:
        row = self.traffic.asked(client.address, client.door, route.channel, unit_id, route.unit, pdu)
        try:
            reply = await self.lines[route.channel].ask(client.name, route, pdu, client.role or "")
        except RawRefused as exc:
            code, counter = _CODES.get(exc.failure, _NO_PATH)
            self.traffic.count(counter)
            if code == ILLEGAL_FUNCTION:
                self._refusals.note(client.address)
            row.failed += 1
            return exception_pdu(pdu[0], code)
        self.traffic.count("replies")
        if reply[0] & EXCEPTION_BIT:
            self.traffic.count("device_exceptions")
            row.failed += 1
        return reply

    async def _broadcast(self, client: Client, door: Door, pdu: bytes) -> bytes | None:
        if only_reads(pdu) or not door.broadcast:
            return self._refused(client, BROADCAST_UNIT, pdu, "nothing to broadcast")
        for channel in door.broadcast:
            code = self._policy.refusal(client.address, channel, BROADCAST_UNIT, pdu)
            if code != ALLOWED:
                return self._refused(client, BROADCAST_UNIT, pdu, f"broadcast on {channel}", code)
        gone_out = False
        for channel in door.broadcast:
            self.traffic.asked(client.address, client.door, channel, BROADCAST_UNIT, BROADCAST_UNIT, pdu)
            try:
                await self.lines[channel].ask(client.name, Route(channel, BROADCAST_UNIT), pdu, client.role or "")
            except RawRefused as exc:
                if exc.failure is RawFailure.REFUSED_BY_POLICY:
                    self.traffic.count("refused_core")
                    self._refusals.note(client.address)
                    # the core has recorded it
                    self.traffic.count("refused_policy")
                    return exception_pdu(pdu[0], ILLEGAL_FUNCTION)
                # nobody answers a broadcast, and nobody is told that a line is down
                continue
            gone_out = True
        self.traffic.count("broadcasts", gone_out)
        return None

    def _refused(self, client: Client, unit_id: int, pdu: bytes, what: str, code: int = ILLEGAL_FUNCTION) -> bytes:
        self.traffic.refused(client.address, unit_id, pdu, what, client.role or "")
        return exception_pdu(pdu[0], code)
