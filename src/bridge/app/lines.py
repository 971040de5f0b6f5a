"""
The channels of the site as one RawLinePort: what the gateway's process may ask of the lines.

The rule one must not break: the core judges every request itself, whatever the worker has let pass.
"""

import logging
from collections.abc import Mapping

from bridge.commands.audit import Audit
from bridge.commands.chain import Fact
from bridge.commands.policy import address_of
from bridge.commands.raw import RawDecision, RawPolicy
from bridge.core.clock import Clock
from bridge.core.command import Origin
from bridge.core.errors import (
    ConnectFailed,
    ConnectionLost,
    FieldError,
    FramingError,
    LineBusy,
    RawFailure,
    RawRefused,
    ReplyTimeout,
    RequestRefused,
)
from bridge.field.channel import FieldChannel
from bridge.field.line import Use

log = logging.getLogger("bridge.app")
# what `access:` calls the asker of raw requests
PROTOCOL = "gateway"
# s; a client of the gateway never waits longer than this for one device
MAX_TURNAROUND_S = 15.0
_FAILURES: tuple[tuple[type[FieldError], RawFailure], ...] = (
    (ConnectFailed, RawFailure.NOT_CONNECTED),
    (ConnectionLost, RawFailure.NOT_CONNECTED),
    (ReplyTimeout, RawFailure.TIMED_OUT),
    (FramingError, RawFailure.BAD_REPLY),
    (LineBusy, RawFailure.BUSY),
    (RequestRefused, RawFailure.REFUSED_BY_POLICY),
)


class FieldLines:
    """RawLinePort. `channels` is the live table of the bridge: a reload changes it in place."""

    def __init__(self, channels: Mapping[str, FieldChannel], clock: Clock, policy: RawPolicy, audit: Audit) -> None:
        self._channels, self._clock, self._audit = channels, clock, audit
        # exchanged by a reload
        self.policy = policy

    async def exchange(self, channel: str, user: str, unit_id: int, pdu: bytes, deadline_ns: int) -> bytes:
        """See `core.ports.RawLinePort`."""
        asked = self._channels.get(channel)
        if asked is None:
            raise RawRefused(RawFailure.NO_SUCH_CHANNEL, channel)
        decision = self.policy.judge(pdu, unit_id, channel, Origin(PROTOCOL, _host(user), ""))
        if decision.refusal is not None:
            await self._audit.refused(
                _fact(channel, user, unit_id, pdu, decision, "refused_by_policy", decision.refusal)
            )
            raise RawRefused(RawFailure.REFUSED_BY_POLICY, decision.refusal)
        if decision.written is None:
            return await self._ask(asked, user, unit_id, pdu, deadline_ns)
        return await self._write(asked, user, unit_id, pdu, deadline_ns, decision)

    async def _write(
        self, asked: FieldChannel, user: str, unit_id: int, pdu: bytes, deadline_ns: int, decision: RawDecision
    ) -> bytes:
        """Record that it starts, send it, record what the device said."""
        try:
            started = await self._audit.note(_fact(asked.name, user, unit_id, pdu, decision, "started"))
        except OSError as exc:
            raise RawRefused(RawFailure.REFUSED_BY_POLICY, "the audit cannot be written") from exc
        result = RawFailure.TIMED_OUT.value
        try:
            reply = await self._ask(asked, user, unit_id, pdu, deadline_ns)
            result = "done" if not reply or reply[0] == pdu[0] else f"device_refused {reply[1:2].hex()}"
        except RawRefused as exc:
            result = exc.failure.value
            raise
        finally:
            await self._note(_fact(asked.name, user, unit_id, pdu, decision, result, of=started.n))
        return reply

    async def _note(self, fact: Fact) -> None:
        try:
            await self._audit.note(fact)
        except OSError as exc:
            # the device has it: the client must hear that, whatever our disk says
            log.error("raw_result_unaudited target=%s error=%s", fact.target, exc.strerror)

    async def _ask(self, asked: FieldChannel, user: str, unit_id: int, pdu: bytes, deadline_ns: int) -> bytes:
        left_s = (deadline_ns - self._clock.monotonic_ns()) / 1e9
        if left_s <= 0:
            raise RawRefused(RawFailure.TIMED_OUT)
        try:
            return await asked.ask(Use.GATEWAY, user, unit_id, pdu, min(left_s, MAX_TURNAROUND_S), attempts=1)
        except FieldError as exc:
            failure = next((f for kind, f in _FAILURES if isinstance(exc, kind)), RawFailure.TIMED_OUT)
            raise RawRefused(failure, str(exc)) from exc


def _host(user: str) -> str:
    """Return the address of a client without its port: the same client again comes from another port."""
    address = address_of(user)
    return user if address is None else str(address)


def _fact(
    channel: str,
    user: str,
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
        peer=_host(user),
        role=decision.role,
        new=pdu.hex(" "),
        reason=reason,
        of=of,
    )
