"""
Carries out a permitted command on a device: one whole write, then a read-back that must show it.

The rule one must not break: DONE is said only of what the device has confirmed; a write without an answer (an ION does
not answer one to an unmapped register) is TIMED_OUT, whatever a later read shows.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from typing import Protocol

from bridge.config.model import FieldDevice, FieldPoint, Register, WriteTo
from bridge.core.clock import Clock
from bridge.core.command import Command, CommandResult, Outcome
from bridge.core.errors import FieldError, LineBusy, RequestRefused
from bridge.core.point import Kind, Role, Value
from bridge.field.line import Use
from bridge.field.modbus.ask import ACKNOWLEDGE, Asker, Verdict, judge
from bridge.field.modbus.decode import decoder_for
from bridge.field.modbus.encode import OutOfRange, Unwritable, encode, write_pdu
from bridge.field.modbus.schedule import BIT_TABLES
from bridge.modbus.frame import EXCEPTION_BIT, read_pdu

BROADCAST = 0
# Readings back before a device that shows another value is taken to have refused, and s between them
_READ_BACKS, _READ_BACK_PAUSE_S = 3, 0.1
# ns by which a clock may have gone on from its setting to the last read-back
_CLOCK_NS = 3_000_000_000
# s; of the command's time, at most, for reading the device's settings again
_REFRESH_S = 2.0
_TIMED_OUT = CommandResult(Outcome.TIMED_OUT)


class Refresh(Protocol):
    """`DevicePoller.refresh`."""

    def __call__(self, indexes: Iterable[int] | None = None) -> Awaitable[bool]: ...


class Writer:
    """Writes the points of one device; loop thread only. Policy has been asked before."""

    def __init__(self, device: FieldDevice, asker: Asker, clock: Clock, refresh: Refresh) -> None:
        self._unit_id, self._timeout_s = device.definition.unit_id, device.limits.timeout_s
        self._points: Mapping[int, FieldPoint] = {p.definition.index: p for p in device.points}
        self._asker, self._clock, self._refresh = asker, clock, refresh

    async def write(self, command: Command) -> CommandResult:
        """Carry out `command`; return at its deadline at the latest."""
        point = self._points.get(command.index)
        if point is None or point.write is None:
            return CommandResult(Outcome.NOT_WRITABLE)
        try:
            data = encode(point.write, point.definition, command.value)
            pdu = write_pdu(point.write, data)
        except OutOfRange:
            return CommandResult(Outcome.OUT_OF_RANGE)
        except Unwritable:
            return CommandResult(Outcome.NOT_WRITABLE)
        left_s = (command.deadline_ns - self._clock.monotonic_ns()) / 1e9
        if left_s <= 0:
            return _TIMED_OUT
        user = command.origin.protocol
        try:
            async with asyncio.timeout(left_s):
                result = await self._perform(point, point.write, command.value, user, pdu, data)
        except RequestRefused:
            return CommandResult(Outcome.NOT_WRITABLE)
        except LineBusy:
            return CommandResult(Outcome.BUSY)
        except (TimeoutError, FieldError):
            return _TIMED_OUT
        if result.outcome is Outcome.DONE:
            left_s = (command.deadline_ns - self._clock.monotonic_ns()) / 1e9
            await self._show(command.index, min(left_s, _REFRESH_S))
        return result

    async def _perform(
        self, point: FieldPoint, write: WriteTo, value: Value, user: str, pdu: bytes, data: bytes
    ) -> CommandResult:
        unit_id = BROADCAST if write.broadcast else self._unit_id
        reply = await self._asker.ask(Use.COMMAND, user, unit_id, pdu, self._timeout_s, 1)
        if not write.broadcast:
            refused = len(reply) == 2 and reply[0] == pdu[0] | EXCEPTION_BIT
            if refused and reply[1] != ACKNOWLEDGE:
                return CommandResult(Outcome.DEVICE_REFUSED, reply[1])
            # the reply repeats function, address and value or count (Modbus Application Protocol V1.1b3, 6.5, 6.12)
            if not refused and reply[:5] != pdu[:5]:
                return _TIMED_OUT
        if point.read is None or point.definition.role is Role.COMMAND:
            # a command leaves nothing to read; nobody confirms a broadcast
            return _TIMED_OUT if write.broadcast else CommandResult(Outcome.DONE)
        for _ in range(_READ_BACKS):
            if await self._shows(point, point.read, write, value, user, data):
                return CommandResult(Outcome.DONE)
            await asyncio.sleep(_READ_BACK_PAUSE_S)
        return CommandResult(Outcome.DEVICE_REFUSED)

    async def _shows(
        self, point: FieldPoint, read: Register, write: WriteTo, value: Value, user: str, data: bytes
    ) -> bool:
        pdu = read_pdu(read.table.value, read.address, read.count)
        length = 1 if read.table in BIT_TABLES else 2 * read.count
        reply = await self._asker.ask(Use.COMMAND, user, self._unit_id, pdu, self._timeout_s, 2)
        if judge(read.table.value, reply, length) is not Verdict.GOOD:
            return False
        found = reply[2:]
        if point.definition.kind is Kind.TIME:
            # a clock goes on while it is read
            shown = decoder_for(read, point.definition)(found)[0]
            return isinstance(shown, int) and isinstance(value, int) and 0 <= shown - value <= _CLOCK_NS
        if read.table in BIT_TABLES:
            found = bytes((found[0] & 1,))
        same = read.table is write.register.table and read.address == write.register.address
        if same and read.type is write.register.type:
            return found == data
        shown = decoder_for(read, point.definition)(found)[0]
        if isinstance(shown, float) and isinstance(value, int | float):
            return abs(shown - value) <= float(read.scale) / 2
        return shown == value

    async def _show(self, index: int, within_s: float) -> None:
        """Have the point and the device's settings read again, and wait a little, so that the client sees them."""
        try:
            async with asyncio.timeout(within_s):
                await asyncio.gather(self._refresh(None), self._refresh([index]))
        except TimeoutError:
            return
