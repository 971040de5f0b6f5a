"""Ask a device through a shared line: turns, pauses, retries, and never a late reply taken for another."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from bridge.core.clock import Clock
from bridge.core.errors import ConnectionLost, FieldError, FramingError, LineBusy, Quarantined, ReplyTimeout
from bridge.field.arbiter import LineArbiter as LineArbiter
from bridge.field.arbiter import Use as Use
from bridge.field.observe import FrameTap, LineCounters

# waits for late replies that one question may cost; somebody else's time-outs can renew the quarantine for ever
MAX_WAITS = 4


class Master(Protocol):
    """One way to exchange a request for its reply: RTU on a serial line or a socket, Modbus TCP."""

    @property
    def counters(self) -> LineCounters: ...

    @property
    def tap(self) -> FrameTap: ...

    def quarantine_s(self, unit_id: int, pdu: bytes) -> float:
        """Return how long a late reply could still be taken for the reply to this request."""
        ...

    async def exchange(self, unit_id: int, pdu: bytes, timeout_s: float) -> bytes:
        """Return the reply PDU. Raises: FieldError."""
        ...

    def hush(self) -> None:
        """Send nothing until replies to somebody else's requests can no longer come."""
        ...

    def close(self) -> None: ...


class Pacer:
    """Time between two requests to one device, for devices that need it; holds up nobody else."""

    def __init__(self, clock: Clock, delays_s: Mapping[int, float]) -> None:
        self._now = clock.monotonic_ns
        self._delays_ns = {unit_id: round(delay_s * 1e9) for unit_id, delay_s in delays_s.items() if delay_s > 0}
        self._ready_at: dict[int, int] = {}

    def wait_s(self, unit_id: int) -> float:
        if unit_id not in self._ready_at:
            return 0.0
        return max(0, self._ready_at[unit_id] - self._now()) / 1e9

    def asked(self, unit_id: int) -> None:
        """Say that an exchange with the device has just ended."""
        delay_ns = self._delays_ns.get(unit_id)
        if delay_ns:
            self._ready_at[unit_id] = self._now() + delay_ns


def probe_pdu(pdu: bytes) -> bytes | None:
    """Return a shorter read inside the same registers, None if there is none."""
    if pdu[0] not in (3, 4) or len(pdu) != 5:
        return None
    count = int.from_bytes(pdu[3:5], "big")
    if count < 2:
        return None
    return pdu[:3] + (2 if count > 2 else 1).to_bytes(2, "big")


class Line:
    """Ask a device of a line: takes turns, retries, never mistakes a late reply.

    After a time-out a shorter read of the same block goes first: its own reply proves that no late one is
    left. Where that is not possible (one register, writes) the wait for it passes without holding the line.
    """

    def __init__(self, master: Master, arbiter: LineArbiter, pacer: Pacer | None = None, channel: str = "line") -> None:
        self._master, self._arbiter, self._pacer, self._channel = master, arbiter, pacer, channel

    async def ask(
        self,
        use: Use,
        user: str,
        unit_id: int,
        pdu: bytes,
        timeout_s: float,
        attempts: int = 2,
        late: Callable[[], bool] | None = None,
    ) -> bytes:
        """
        Return the reply PDU (a device's exception included). Raises: FieldError after `attempts`.

        `late`: whether nobody waits for the answer any more; looked at when the turn has come (LineBusy).
        """
        failure: FieldError | None = None
        waits = MAX_WAITS
        while attempts > 0:
            wait_s = self._master.quarantine_s(unit_id, pdu)
            if wait_s > 0 and not await self._proves_order(use, user, unit_id, pdu, timeout_s):
                await asyncio.sleep(self._master.quarantine_s(unit_id, pdu))
            try:
                return await self._turn(use, user, unit_id, pdu, timeout_s, late)
            except Quarantined:
                waits -= 1
                if not waits:
                    raise
            except (ReplyTimeout, FramingError, ConnectionLost) as exc:
                failure = exc
                attempts -= 1
        assert failure is not None
        raise failure

    async def _proves_order(self, use: Use, user: str, unit_id: int, pdu: bytes, timeout_s: float) -> bool:
        probe = probe_pdu(pdu)
        if probe is None or self._master.quarantine_s(unit_id, probe) > 0:
            return False
        try:
            await self._turn(use, user, unit_id, probe, timeout_s)
        except (ReplyTimeout, FramingError, Quarantined):
            return False
        return self._master.quarantine_s(unit_id, pdu) == 0

    async def _turn(
        self,
        use: Use,
        user: str,
        unit_id: int,
        pdu: bytes,
        timeout_s: float,
        late: Callable[[], bool] | None = None,
    ) -> bytes:
        arbiter, pacer = self._arbiter, self._pacer
        while True:
            if pacer is not None:
                await asyncio.sleep(pacer.wait_s(unit_id))
            if not arbiter.take(use):
                await arbiter.enter(use, user)
            try:
                if late is not None and late():
                    raise LineBusy(self._channel, unit_id, "the line was not free in time")
                if pacer is None:
                    return await self._master.exchange(unit_id, pdu, timeout_s)
                if pacer.wait_s(unit_id) <= 0:
                    return await self._paced(pacer, unit_id, pdu, timeout_s)
                # somebody else's turn with this device came first
            finally:
                arbiter.leave()

    async def _paced(self, pacer: Pacer, unit_id: int, pdu: bytes, timeout_s: float) -> bytes:
        try:
            return await self._master.exchange(unit_id, pdu, timeout_s)
        finally:
            pacer.asked(unit_id)
