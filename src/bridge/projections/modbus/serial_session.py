"""
The bridge as a Modbus RTU server on a serial line of its own (Modbus over Serial Line V1.02, 2).

A frame ends where the line is silent for t3.5; what comes then must be whole and have its CRC. Frames to others, their
replies and broadcasts are heard and not answered. A reply that is late, because a write took its time, is not sent once
the master has said something else: it would be taken for the answer to that.
"""

import asyncio
from typing import cast

from bridge.core.command import Origin
from bridge.modbus.frame import BARE_LENGTH, EXCEPTION_BIT, MAX_RTU_LENGTH, crc_holds, rtu_frame
from bridge.modbus.timing import LineTiming
from bridge.projections.modbus.identification import REPORT_SERVER_ID
from bridge.projections.modbus.plan import Echo, SerialPlan
from bridge.projections.modbus.requests import WRITES, Write
from bridge.projections.modbus.services import Services, carried_out

# s; a loop's timers have whole milliseconds: silence is never cut short by one
_TIMER_S = 0.001


class SerialSession(asyncio.Protocol):
    """One for each time the port is opened. Loop thread only."""

    def __init__(self, services: Services, line: SerialPlan, server_id: bytes) -> None:
        self._services, self._units, self._server_id = services, line.units, server_id
        self._counters = services.counters
        timing = LineTiming(line.port.baud.value, line.port.framing.bits_per_char)
        self._quiet_s = timing.quiet_s + _TIMER_S
        # how long an adapter may hold back the rest of a frame that is not whole
        self._rest_s = timing.gap_s
        self._origin = Origin("modbus", line.port.port, "")
        self._buffer = bytearray()
        self._silence: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        # what of our own transmission is still to be heard
        self._hears_itself, self._echo = line.echo is Echo.LOCAL, b""
        # frames heard: a late reply belongs to the last one or to nobody
        self._heard = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._counters["serial_lines"] = self._counters.get("serial_lines", 0) + 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._counters["serial_lines"] -= 1
        if self._silence is not None:
            self._silence.cancel()

    def data_received(self, data: bytes) -> None:
        self._counters["bytes_in"] += len(data)
        if self._echo:
            data = self._without_echo(data)
        if not data:
            return
        self._heard += not self._buffer
        # beyond the longest frame nothing is kept: who babbles is not understood anyhow
        self._buffer += data[: MAX_RTU_LENGTH + 1 - len(self._buffer)]
        self._wait(self._quiet_s, last=False)

    def _without_echo(self, data: bytes) -> bytes:
        """Take what we have just sent out of what is heard; what is not it was said by somebody else."""
        heard = data[: len(self._echo)]
        if heard != self._echo[: len(heard)]:
            self._echo = b""
            return data
        self._echo = self._echo[len(heard) :]
        return data[len(heard) :]

    def _wait(self, delay_s: float, last: bool) -> None:
        if self._silence is not None:
            self._silence.cancel()
        self._silence = asyncio.get_running_loop().call_later(delay_s, self._silent, last)

    def _silent(self, last: bool) -> None:
        frame = bytes(self._buffer)
        good = BARE_LENGTH <= len(frame) <= MAX_RTU_LENGTH and crc_holds(frame)
        if not good and not last and len(frame) < MAX_RTU_LENGTH:
            # an adapter may hold the rest back
            self._wait(self._rest_s, last=True)
            return
        self._buffer.clear()
        if not good:
            self._counters["bad_frames"] += 1
        elif frame[0] in self._units:
            self._answer(frame[0], frame[1:-2])

    def _answer(self, unit_id: int, pdu: bytes) -> None:
        if not 0 < pdu[0] < EXCEPTION_BIT:
            return
        services = self._services
        self._counters["requests"] += 1
        if pdu == bytes((REPORT_SERVER_ID,)):
            self._send(unit_id, self._server_id)
            return
        reply = services.requests.reply(self._units[unit_id], pdu)
        if isinstance(reply, Write):
            services.spawn(self._carry_out(unit_id, pdu[0], reply, self._heard))
            return
        if pdu[0] in WRITES:
            services.refuse(self._origin, unit_id, pdu, reply)
        self._send(unit_id, reply)

    async def _carry_out(self, unit_id: int, function: int, write: Write, heard: int) -> None:
        reply = await carried_out(self._services, self._origin, function, write)
        if heard == self._heard:
            self._send(unit_id, reply)
        else:
            self._counters["late_replies"] = self._counters.get("late_replies", 0) + 1

    def _send(self, unit_id: int, reply: bytes) -> None:
        if reply[0] & EXCEPTION_BIT:
            self._services.count_exception(self._origin, unit_id, reply)
        if self._transport is None:
            return
        frame = rtu_frame(unit_id, reply)
        self._counters["bytes_out"] += len(frame)
        self._echo = frame if self._hears_itself else b""
        self._transport.write(frame)
