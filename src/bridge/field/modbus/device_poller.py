"""
Polls one device: due blocks -> ask -> decode -> publish; backs off when it is silent, splits what it refuses.

The rule one must not break: schedules run on the monotonic clock; the wall clock only stamps samples, so that a step of
it moves no poll.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from bridge.config.model import FieldDevice
from bridge.core.clock import Clock
from bridge.core.point import Kind, PointDef
from bridge.core.ports import PointWriter
from bridge.core.quality import Quality
from bridge.core.quantity import Quantity
from bridge.field.modbus.ask import Asker
from bridge.field.modbus.backoff import BackOff, Why
from bridge.field.modbus.block_reader import BlockReader, Result
from bridge.field.modbus.block_taker import FAILED, BlockTaker
from bridge.field.modbus.decode import decoder_for
from bridge.field.modbus.noise import NoiseMeter
from bridge.field.modbus.notice import Notice, NoticeKind, Report
from bridge.field.modbus.overheard import Overheard
from bridge.field.modbus.planner import ReadCost
from bridge.field.modbus.readings import Readings, Trail
from bridge.field.modbus.schedule import ON_CHANGE, DevicePlan, ReadBlock, first_due_ns, next_due_ns
from bridge.field.modbus.statistics import DeviceSnapshot, DeviceState, DeviceStatistics

_SECOND_NS = 1_000_000_000
# ns; before a device whose connection went away is asked once more
_ASK_AGAIN_NS = 300_000_000
# ns; an event loop's timer may ring this much early
_EARLY_NS = 2_000_000
# Rounds in a row without a connection after which a device is lost
_UNPLUGGED_ROUNDS = 2
# Rounds in a row in which only spoilt replies came, after which a device is lost
_SPOILT_ROUNDS = 3
# Spoilt blocks after which a round that has seen nothing good is given up
_SPOILT_BLOCKS = 2
# ns; what a device refused is asked for again after this: it may have been starting up
_FORGET_REFUSALS_NS = 900 * _SECOND_NS
_SERIAL = PointDef(-1, "serial.number", Kind.TEXT)


@dataclass(slots=True)
class ChannelShare:
    """What the devices of one channel know of each other. `silent`: how many are backing off."""

    noise: NoiseMeter = field(default_factory=NoiseMeter)
    silent: int = 0
    noise_told: bool = False


class DevicePoller:
    """Loop thread only. `place` of `places`: of the device on its channel, for the spread in time."""

    def __init__(
        self,
        device: FieldDevice,
        asker: Asker,
        sink: PointWriter,
        clock: Clock,
        report: Report,
        cost: ReadCost,
        share: ChannelShare,
        place: int = 0,
        places: int = 1,
        trail: Trail = lambda utc_ns, registers: None,
    ) -> None:
        self._device, self._sink, self._clock, self._report, self._share = device, sink, clock, report, share
        self._id = device.definition.id
        self._place, self._places = place, places
        self._statistics = DeviceStatistics()
        self._reader = BlockReader(device, asker, clock, share.noise, self._statistics)
        self._plan = DevicePlan(device, cost)
        self._readings = Readings(self._id, device.points, report)
        self._taker = BlockTaker(
            device, self._reader, self._plan, self._readings, sink, share.noise, report, self._online, trail
        )
        self._overheard = Overheard(device, self._plan, self._readings, share.noise, sink, clock, trail)
        self._back_off = BackOff(device.limits.timeout_s)
        self._due: dict[int, int] = {}
        self._wanted: set[int] = set()
        self._asked: list[asyncio.Future[bool]] = []
        self._wake = asyncio.Event()
        # points that say whether the device answers, where the device has no register for that
        self._status = [
            position
            for position, point in enumerate(device.points)
            if point.read is None and point.definition.meaning.quantity is Quantity.COMMUNICATION_STATUS
        ]
        self._serial_due = True
        self._unplugged = self._spoilt_rounds = 0
        self._probe_at = 0
        self._forget_at = 0

    def snapshot(self) -> DeviceSnapshot:
        """Return the device's statistics as they are now."""
        self._statistics.blocks = len(self._plan.blocks(frozenset(self._plan.groups)))
        return self._statistics.snapshot()

    async def run(self) -> None:
        """Poll until cancelled."""
        self._begin(self._clock.monotonic_ns())
        try:
            while True:
                if self._statistics.state is DeviceState.BACKING_OFF:
                    await self._sleep_until(self._probe_at)
                    await self._probe()
                else:
                    await self._sleep_until(min(self._due.values(), default=self._forget_at))
                    await self._round()
        finally:
            self._answer(False)
            if self._statistics.state is DeviceState.BACKING_OFF:
                self._share.silent -= 1

    async def refresh(self, indexes: Iterable[int] | None = None) -> bool:
        """Read these points now (None: those that are read on change only); tell whether the device answered."""
        if self._statistics.state is DeviceState.BACKING_OFF:
            return False
        if indexes is None:
            self._wanted.update(self._plan.groups.get(ON_CHANGE, ()))
        else:
            wanted = frozenset(indexes)
            points = enumerate(self._device.points)
            self._wanted.update(n for n, point in points if point.read and point.definition.index in wanted)
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked.append(done)
        self._wake.set()
        return await done

    def overheard(self, request: bytes, reply: bytes) -> None:
        """Take what the device has just answered to somebody else on the line."""
        if self._statistics.state is DeviceState.ONLINE:
            self._overheard.take(request, reply)
        elif self._statistics.state is DeviceState.BACKING_OFF:
            # it is back: ask it ourselves, now
            self._probe_at = self._clock.monotonic_ns()
            self._wake.set()

    def _begin(self, now: int) -> None:
        """Everything is due at once."""
        self._due = dict.fromkeys(self._plan.groups, now)
        self._serial_due = self._device.serial is not None
        self._forget_at = now + _FORGET_REFUSALS_NS

    async def _round(self) -> None:
        now = self._clock.monotonic_ns()
        self._adapt(now)
        periods = frozenset(period for period, due in self._due.items() if due <= now + _EARLY_NS)
        wanted, self._wanted = self._wanted, set()
        asked = list(self._asked)
        result = await self._read_serial() if self._serial_due else Result.DONE
        if result not in FAILED:
            if wanted:
                wanted.update(*(self._plan.groups[period] for period in periods))
            blocks = self._plan.blocks_of(sorted(wanted)) if wanted else self._plan.blocks(periods)
            result = await self._read_all(blocks)
        if result in FAILED:
            self._failed(result, periods)
        else:
            self._served(result, periods)
        for done in asked:
            if not done.done():
                done.set_result(result is Result.DONE)
        # those that came meanwhile want a reading of their own
        self._asked = [done for done in self._asked if not done.done()]

    async def _read_all(self, blocks: Iterable[ReadBlock]) -> Result:
        """Return DONE if anything was answered, else what the last read came to."""
        answered, spoilt = False, 0
        for block in blocks:
            result = await self._taker.take(block)
            if result in FAILED:
                return result
            if result is Result.SPOILT:
                spoilt += 1
                # what has no period of its own is tried again with whatever comes next
                self._wanted.update(p for p in block.points if p in self._plan.groups.get(ON_CHANGE, ()))
                if spoilt >= _SPOILT_BLOCKS and not answered:
                    break
            else:
                answered = True
        return Result.SPOILT if spoilt and not answered else Result.DONE

    async def _read_serial(self) -> Result:
        register = self._device.serial
        assert register is not None
        answer = await self._reader.read(ReadBlock(register.table, register.address, register.count, ()))
        if answer.result is Result.DONE:
            serial = decoder_for(register, _SERIAL)(answer.data)[0]
            if isinstance(serial, str) and serial and serial != self._statistics.serial_number:
                self._statistics.serial_number = serial
                self._report(Notice(NoticeKind.SERIAL_NUMBER, self._id, -1, serial))
        if answer.result is Result.SILENT:
            self._serial_due = False
            return await self._taker.is_there()
        if answer.result in (Result.DONE, Result.EXCEPTION):
            self._serial_due = False
            self._online()
        return answer.result

    def _served(self, result: Result, periods: frozenset[int]) -> None:
        now = self._clock.monotonic_ns()
        self._spoilt_rounds = self._spoilt_rounds + 1 if result is Result.SPOILT else 0
        if self._spoilt_rounds >= _SPOILT_ROUNDS:
            self._lose(Result.SILENT)
            return
        if self._statistics.state is DeviceState.ONLINE:
            self._tell(True)
        for period in periods:
            due = self._due[period]
            if period == ON_CHANGE:
                del self._due[period]
                continue
            self._due[period] = next_due_ns(due, period, now)
            self._statistics.missed += (self._due[period] - due) // period - 1

    def _failed(self, result: Result, periods: frozenset[int]) -> None:
        self._unplugged += 1
        if result is Result.SILENT or self._unplugged >= _UNPLUGGED_ROUNDS:
            self._lose(result)
            return
        # a peer that closed an idle connection is back with the next request
        again = self._clock.monotonic_ns() + _ASK_AGAIN_NS
        for period in periods:
            self._due[period] = again

    def _lose(self, result: Result) -> None:
        now = self._clock.monotonic_ns()
        self._statistics.state = DeviceState.BACKING_OFF
        self._share.silent += 1
        self._probe_at = self._back_off.start(now)
        self._sink.publish(self._readings.bad(Quality.COMM_LOST))
        self._tell(False)
        self._report(Notice(NoticeKind.LOST, self._id, -1, f"{result.value}: {self._statistics.last_error}"))
        self._answer(False)

    def _online(self) -> None:
        """The device has answered."""
        self._unplugged = 0
        if self._statistics.state is DeviceState.UNKNOWN:
            self._found()

    def _found(self) -> None:
        self._statistics.state = DeviceState.ONLINE
        now = self._clock.monotonic_ns()
        # a grid of its own from the first answer on; what is due now is read now
        shortest = min((period for period in self._plan.groups if period), default=0)
        for period in self._due:
            if period:
                due = first_due_ns(now, period, shortest, self._place, self._places)
                # the round under way moves every group on by one period
                self._due[period] = due - period
        self._report(Notice(NoticeKind.FOUND, self._id, -1, "answers"))

    async def _probe(self) -> None:
        block = self._plan.probe()
        if block is None:
            self._probe_at = self._clock.monotonic_ns() + _FORGET_REFUSALS_NS
            return
        answer = await self._reader.read(block, self._back_off.probe_timeout_s(self._share.silent))
        now = self._clock.monotonic_ns()
        if answer.result in (Result.DONE, Result.EXCEPTION):
            self._share.silent -= 1
            self._unplugged = self._spoilt_rounds = 0
            self._plan.forget()
            self._readings.forget_blocks()
            self._statistics.state = DeviceState.UNKNOWN
            self._begin(now)
            return
        self._tell(False)
        why = Why.UNPLUGGED if answer.result is Result.UNPLUGGED else Why.SILENT
        self._probe_at = self._back_off.failed(now, why)

    def _tell(self, answers: bool) -> None:
        """Renew the points that say whether the device answers."""
        for position in self._status:
            self._sink.publish(self._readings.state(position, answers, self._clock.utc_ns()))

    def _adapt(self, now: int) -> None:
        noise = self._share.noise
        if noise.level != self._plan.byte_error:
            self._plan.set_noise(noise.level)
            self._readings.forget_blocks()
        if noise.noisy != self._share.noise_told:
            self._share.noise_told = noise.noisy
            kind = NoticeKind.LINE_NOISY if noise.noisy else NoticeKind.LINE_CLEAN
            text = f"{self._device.definition.channel}: {noise.estimate:.2%} of the bytes are spoilt"
            self._report(Notice(kind, "", -1, text))
        if now >= self._forget_at:
            self._forget_at = now + _FORGET_REFUSALS_NS
            if self._plan.refused:
                self._plan.forget()
                self._readings.forget_blocks()

    async def _sleep_until(self, at_ns: int) -> None:
        delay_s = (at_ns - self._clock.monotonic_ns()) / _SECOND_NS
        if self._asked or delay_s <= 0:
            return
        self._wake.clear()
        try:
            async with asyncio.timeout(delay_s):
                await self._wake.wait()
        except TimeoutError:
            return

    def _answer(self, answered: bool) -> None:
        asked, self._asked = self._asked, []
        self._wanted.clear()
        for done in asked:
            if not done.done():
                done.set_result(answered)
