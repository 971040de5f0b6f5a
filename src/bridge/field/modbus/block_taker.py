"""
Turns one poll block into samples: reads it, judges what came back, and finds by halves what the device refuses.
"""

import enum
from collections.abc import Callable

from bridge.config.model import FieldDevice
from bridge.core.ports import PointWriter
from bridge.core.quality import Quality
from bridge.field.modbus.ask import ACKNOWLEDGE, BUSY, ILLEGAL_ADDRESS, ILLEGAL_FUNCTION, ILLEGAL_VALUE
from bridge.field.modbus.block_reader import Answer, BlockReader, Result
from bridge.field.modbus.noise import NoiseMeter
from bridge.field.modbus.notice import Notice, NoticeKind, Report
from bridge.field.modbus.readings import Readings, Trail
from bridge.field.modbus.schedule import DevicePlan, ReadBlock

# Answers "busy" in a row after which the points are bad
_BUSY_AFTER = 3
# Readings of an energy under noise, in search of two that agree
_CONFIRM_READS = 3
# What is no answer of the device
FAILED = frozenset({Result.SILENT, Result.UNPLUGGED})


class Asked(enum.Enum):
    """Whether a block is read for the first time in a round, or after it was not answered."""

    FIRST = "first"
    AGAIN = "again"


class BlockTaker:
    """One device's blocks; loop thread only. `answered` is called at every sign of life."""

    def __init__(
        self,
        device: FieldDevice,
        reader: BlockReader,
        plan: DevicePlan,
        readings: Readings,
        sink: PointWriter,
        noise: NoiseMeter,
        report: Report,
        answered: Callable[[], None],
        trail: Trail,
    ) -> None:
        self._device, self._reader, self._plan, self._readings = device, reader, plan, readings
        self._sink, self._noise, self._report, self._answered = sink, noise, report, answered
        self._trail = trail
        self._busy = 0

    async def take(self, block: ReadBlock, asked: Asked = Asked.FIRST) -> Result:
        """Read and publish a block. SILENT and UNPLUGGED mean the device, not the block."""
        answer = await self._reader.read(block)
        if answer.result is Result.DONE:
            self._answered()
            self._busy = 0
            await self._publish(block, answer)
        elif answer.result is Result.EXCEPTION:
            self._answered()
            return await self._excepted(block, answer.code)
        elif answer.result is Result.SILENT and asked is Asked.FIRST:
            return await self._unanswered(block)
        return answer.result

    async def _unanswered(self, block: ReadBlock) -> Result:
        """Tell a lost device (SILENT) from one that answers everything but this block, or was slow once."""
        there = await self.is_there()
        if there in FAILED or there is Result.SPOILT:
            return there
        result = await self.take(block, Asked.AGAIN)
        if result is not Result.SILENT:
            return result
        if self._noise.noisy:
            return Result.SPOILT
        if len(block.points) > 1:
            return await self._split(block)
        self._refuse(block, "does not answer")
        self._sink.publish(self._readings.bad(Quality.DEVICE_FAULT, block.points))
        return Result.EXCEPTION

    async def is_there(self) -> Result:
        """Read what is cheapest to read; anything but SILENT, UNPLUGGED and SPOILT is a sign of life."""
        probe = self._plan.probe()
        return Result.SILENT if probe is None else (await self._reader.read(probe)).result

    async def _publish(self, block: ReadBlock, answer: Answer) -> None:
        batch, unsure = self._readings.take(block, answer.data, answer.utc_ns, self._noise.noisy)
        if batch:
            self._tell(block, answer)
            self._sink.publish(batch)
        for _ in range(_CONFIRM_READS):
            if not unsure:
                return
            still: list[int] = []
            for again in self._plan.blocks_of(unsure):
                second = await self._reader.read(again)
                if second.result is not Result.DONE:
                    return
                batch, left = self._readings.take(again, second.data, second.utc_ns, careful=True)
                still += left
                if batch:
                    self._tell(again, second)
                    self._sink.publish(batch)
            unsure = still

    def _tell(self, block: ReadBlock, answer: Answer) -> None:
        energies = self._readings.registers(block, answer.data)
        if energies:
            self._trail(answer.utc_ns, energies)

    async def _excepted(self, block: ReadBlock, code: int) -> Result:
        """Deal with an exception; the device itself is there."""
        if code in (ACKNOWLEDGE, BUSY):
            self._busy += 1
            if self._busy < _BUSY_AFTER:
                return Result.EXCEPTION
        elif code in (ILLEGAL_ADDRESS, ILLEGAL_VALUE) and len(block.points) > 1:
            return await self._split(block)
        elif code in (ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE):
            self._refuse(block, f"answers exception {code:#04x}")
        self._sink.publish(self._readings.bad(Quality.DEVICE_FAULT, block.points))
        return Result.EXCEPTION

    async def _split(self, block: ReadBlock) -> Result:
        """Find what the device refuses by halves; DONE only if both halves were read whole."""
        left, right = self._plan.halves(block)
        first = await self.take(left)
        if first in FAILED:
            return first
        second = await self.take(right)
        if second in FAILED:
            return second
        if first is second is Result.DONE:
            self._plan.separate(left, right)
            self._readings.forget_blocks()
            return Result.EXCEPTION
        return second if first is Result.DONE else first

    def _refuse(self, block: ReadBlock, what: str) -> None:
        self._plan.refuse(block)
        self._readings.forget_blocks()
        for position in block.points:
            definition = self._device.points[position].definition
            where = f"{block.table.name.lower()} {block.address}, {block.count} long"
            text = f"{definition.id}: the device {what} at {where}"
            self._report(Notice(NoticeKind.REGISTER_REFUSED, self._device.definition.id, definition.index, text))
