"""
The channels of the site as one RawLinePort: what the gateway's process may ask of the lines.

The rule one must not break: the core judges every request itself, whatever the worker has let pass.
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol

import msgspec

from bridge.app.failures import refused
from bridge.app.tunnels import LineTunnel, open_tunnel
from bridge.commands.audit import Audit
from bridge.commands.chain import Fact
from bridge.commands.policy import address_of
from bridge.commands.raw import RawDecision
from bridge.core.clock import Clock
from bridge.core.command import Origin
from bridge.core.errors import FieldError, RawFailure, RawRefused
from bridge.field.channel import FieldChannel
from bridge.field.line import Use
from bridge.modbus.request import Effect

log = logging.getLogger("bridge.app")
# what `access:` calls the asker of raw requests
PROTOCOL, TUNNEL_PROTOCOL = "gateway", "ethergate"
# reads of the four tables
OVERHEARD = frozenset({1, 2, 3, 4})
# clients remembered: more than are connected at once
_ORIGINS_KEPT = 256
# (channel, unit id) -> s the device may take
TimeoutOf = Callable[[str, int], float]
# channel, unit id, request, reply: of reads that a device has answered
Overheard = Callable[[str, int, bytes, bytes], None]
# s; a client of the gateway never waits longer than this for one device
MAX_TURNAROUND_S = 15.0


class RawJudge(Protocol):
    """Decides about raw requests: `commands.raw.RawPolicy`."""

    def judge(self, pdu: bytes, unit_id: int, channel: str, origin: Origin) -> RawDecision: ...


class FieldLines:
    """RawLinePort. `channels` is the live table of the bridge: a reload changes it in place."""

    def __init__(
        self,
        channels: Mapping[str, FieldChannel],
        clock: Clock,
        policy: RawJudge,
        audit: Audit,
        timeout_of: TimeoutOf = lambda channel, unit_id: MAX_TURNAROUND_S,
        overheard: Overheard = lambda channel, unit_id, request, reply: None,
    ) -> None:
        self._channels, self._clock, self._audit, self._timeout_of = channels, clock, audit, timeout_of
        self._overheard = overheard
        # exchanged by a reload
        self.policy = policy
        # by user: to parse an address costs 12 us, as much as the policy and the arbiter together
        self._origins: dict[tuple[str, str], Origin] = {}

    async def exchange(
        self,
        channel: str,
        user: str,
        unit_id: int,
        pdu: bytes,
        deadline_ns: int,
        timeout_s: float = 0.0,
        identity: str = "",
    ) -> bytes:
        """See `core.ports.RawLinePort`."""
        asked = self._channels.get(channel)
        if asked is None:
            raise RawRefused(RawFailure.NO_SUCH_CHANNEL, channel)
        if not pdu:
            raise RawRefused(RawFailure.REFUSED_BY_POLICY, "expected a function")
        timeout_s = timeout_s or self._timeout_of(channel, unit_id)
        origin = self._origin(user, identity)
        decision = self.policy.judge(pdu, unit_id, channel, origin)
        if decision.refusal is not None:
            await self._audit.refused(
                _fact(channel, origin, unit_id, pdu, decision, "refused_by_policy", decision.refusal)
            )
            raise RawRefused(RawFailure.REFUSED_BY_POLICY, decision.refusal)
        if decision.effect is Effect.READ:
            reply = await self._ask(asked, user, unit_id, pdu, deadline_ns, timeout_s)
            if pdu[0] in OVERHEARD:
                self._overheard(channel, unit_id, pdu, reply)
            return reply
        return await self._write(asked, user, origin, unit_id, pdu, deadline_ns, timeout_s, decision)

    def _origin(self, user: str, identity: str) -> Origin:
        origin = self._origins.get((user, identity))
        if origin is None:
            if len(self._origins) >= _ORIGINS_KEPT:
                self._origins.clear()
            origin = self._origins[user, identity] = Origin(PROTOCOL, _host(user), identity)
        return origin

    @contextlib.asynccontextmanager
    async def tunnel(
        self, channel: str, user: str, received: Callable[[bytes], None], idle_s: float
    ) -> AsyncIterator[LineTunnel]:
        """See `core.ports.Tunnels`. Recorded before and after: what raw bytes write, nobody else can record."""
        fact = Fact(kind="raw bytes", result="started", target=channel, protocol=TUNNEL_PROTOCOL, peer=_host(user))
        async with open_tunnel(self._channels, channel, user, received, idle_s) as line:
            try:
                started = await self._audit.note(fact)
            except OSError as exc:
                raise RawRefused(RawFailure.REFUSED_BY_POLICY, "the audit cannot be written") from exc
            try:
                yield line
            finally:
                await self._note(msgspec.structs.replace(fact, result="ended", of=started.n))

    async def _write(
        self,
        asked: FieldChannel,
        user: str,
        origin: Origin,
        unit_id: int,
        pdu: bytes,
        deadline_ns: int,
        timeout_s: float,
        decision: RawDecision,
    ) -> bytes:
        """Record that it starts, send it, record what the device said."""
        try:
            started = await self._audit.note(_fact(asked.name, origin, unit_id, pdu, decision, "started"))
        except OSError as exc:
            raise RawRefused(RawFailure.REFUSED_BY_POLICY, "the audit cannot be written") from exc
        result = RawFailure.TIMED_OUT.value
        try:
            reply = await self._ask(asked, user, unit_id, pdu, deadline_ns, timeout_s)
            result = "done" if not reply or reply[0] == pdu[0] else f"device_refused {reply[1:2].hex()}"
        except RawRefused as exc:
            result = exc.failure.value
            raise
        finally:
            await self._note(_fact(asked.name, origin, unit_id, pdu, decision, result, of=started.n))
        return reply

    async def _note(self, fact: Fact) -> None:
        try:
            await self._audit.note(fact)
        except OSError as exc:
            # the device has it: the client must hear that, whatever our disk says
            log.error("raw_result_unaudited target=%s error=%s", fact.target, exc.strerror)

    async def _ask(
        self, asked: FieldChannel, user: str, unit_id: int, pdu: bytes, deadline_ns: int, timeout_s: float
    ) -> bytes:
        now = self._clock.monotonic_ns
        left_s = (deadline_ns - now()) / 1e9
        if left_s <= 0:
            raise RawRefused(RawFailure.TIMED_OUT)
        wait_s = min(timeout_s, left_s, MAX_TURNAROUND_S)
        try:
            return await asked.ask(Use.GATEWAY, user, unit_id, pdu, wait_s, 1, lambda: now() >= deadline_ns)
        except FieldError as exc:
            raise refused(exc) from exc


def _host(user: str) -> str:
    """Return the address of a client without its port: the same client again comes from another port."""
    address = address_of(user)
    return user if address is None else str(address)


def _fact(
    channel: str,
    origin: Origin,
    unit_id: int,
    pdu: bytes,
    decision: RawDecision,
    result: str,
    reason: str = "",
    of: int = 0,
) -> Fact:
    return Fact(
        kind="raw",
        result=result,
        target=f"{channel} unit {unit_id}",
        protocol=PROTOCOL,
        peer=origin.peer,
        user=origin.user,
        role=decision.role,
        new=pdu.hex(" "),
        reason=reason,
        of=of,
    )
