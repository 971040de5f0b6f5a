"""Reads one block of one device: asks, tries again what the line spoilt, and keeps count."""

import asyncio
import enum
from dataclasses import dataclass

from bridge.config.meter import Table
from bridge.config.model import FieldDevice
from bridge.core.clock import Clock
from bridge.core.errors import FieldError, FramingError, LineBusy, Quarantined, ReplyTimeout
from bridge.field.line import Use
from bridge.field.modbus.ask import GATEWAY_CODES, Asker, Verdict, judge
from bridge.field.modbus.noise import NoiseMeter
from bridge.field.modbus.schedule import ReadBlock
from bridge.field.modbus.statistics import DeviceStatistics, RawBlock
from bridge.modbus.frame import read_pdu
from bridge.modbus.timing import READ_OVERHEAD_CHARS

_SECOND_NS = 1_000_000_000
# s; before a line that somebody has for himself is asked for again
_BUSY_LINE_S = 0.25
# Attempts at a read: on a clean line one reply in thousands is spoilt, on a noisy one every other
_ATTEMPTS_CLEAN, _ATTEMPTS_NOISY = 3, 6
# Unanswered reads that are remembered: more than the blocks of any device
_REMEMBERED = 128
# characters of a read request: what noise must hit for the device to stay silent
_REQUEST_CHARS = 8


class Result(enum.Enum):
    """What became of a read."""

    DONE = "done"
    # the device answered with an exception
    EXCEPTION = "exception"
    # bytes came, none of them the reply
    SPOILT = "spoilt"
    SILENT = "silent"
    # there is no connection to the device, or no port
    UNPLUGGED = "unplugged"


@dataclass(frozen=True, slots=True)
class Answer:
    """`data`: registers or bits as in the reply. `utc_ns`: when it had come. `code`: of an exception."""

    result: Result
    data: bytes = b""
    utc_ns: int = 0
    code: int = 0


class BlockReader:
    """One device's reads; loop thread only."""

    def __init__(
        self, device: FieldDevice, asker: Asker, clock: Clock, noise: NoiseMeter, statistics: DeviceStatistics
    ) -> None:
        self._user, self._unit_id = device.definition.id, device.definition.unit_id
        self._timeout_s = device.limits.timeout_s
        self._asker, self._clock, self._noise, self._statistics = asker, clock, noise, statistics
        # reads without an answer, by table, address and count, until the same read is answered
        self._silent: dict[tuple[Table, int, int], int] = {}

    async def read(self, block: ReadBlock, timeout_s: float = 0.0) -> Answer:
        """Read a block; `timeout_s` > 0 is a probe: one attempt with this time-out."""
        attempts = 1 if timeout_s else (_ATTEMPTS_NOISY if self._noise.noisy else _ATTEMPTS_CLEAN)
        spoilt = False
        if timeout_s or len(self._silent) > _REMEMBERED:
            # a device that was away is no sign of noise
            self._silent.clear()
        while True:
            answer = await self._once(block, timeout_s or self._timeout_s)
            attempts -= 1
            spoilt = spoilt or answer.result is Result.SPOILT
            silent_by_noise = answer.result is Result.SILENT and self._noise.noisy and not answer.code
            if attempts == 0 or not (answer.result is Result.SPOILT or silent_by_noise):
                break
        # some bytes came in one of the attempts: there is somebody
        return Answer(Result.SPOILT) if spoilt and answer.result is Result.SILENT else answer

    async def _once(self, block: ReadBlock, timeout_s: float) -> Answer:
        statistics, function = self._statistics, block.table.value
        pdu = read_pdu(function, block.address, block.count)
        statistics.requests += 1
        try:
            begun_ns, reply = await self._when_free(pdu, timeout_s)
        except FieldError as exc:
            statistics.last_error = str(exc)
            return await self._failed(exc, block)
        ended_ns = self._clock.monotonic_ns()
        verdict = judge(function, reply, block.data_bytes)
        if verdict is Verdict.NONSENSE:
            statistics.last_error = f"unit {self._unit_id}: {len(reply)} bytes are no reply to {pdu.hex()}"
            statistics.crc_errors += 1
            return Answer(Result.SPOILT)
        utc_ns = self._clock.utc_ns()
        statistics.replied((ended_ns - begun_ns) / _SECOND_NS, utc_ns)
        if verdict is Verdict.EXCEPTION:
            statistics.refused(reply[1], f"unit {self._unit_id}: exception code {reply[1]:#04x} to {pdu.hex()}")
            # a gateway's word that the device behind it does not answer
            if reply[1] in GATEWAY_CODES:
                return Answer(Result.SILENT, b"", utc_ns, reply[1])
            self._noise.got_through(READ_OVERHEAD_CHARS)
            return Answer(Result.EXCEPTION, b"", utc_ns, reply[1])
        self._good(block)
        statistics.keep(RawBlock(function, block.address, reply[2:], utc_ns, block.count))
        return Answer(Result.DONE, reply[2:], utc_ns)

    async def _when_free(self, pdu: bytes, timeout_s: float) -> tuple[int, bytes]:
        """
        Return when the line was asked for and the reply. Somebody who has the line for himself says nothing of the
        device: wait, and let the samples age (STALE).
        """
        while True:
            begun_ns = self._clock.monotonic_ns()
            try:
                return begun_ns, await self._asker.ask(Use.POLL, self._user, self._unit_id, pdu, timeout_s, 1)
            except LineBusy:
                await asyncio.sleep(_BUSY_LINE_S)

    async def _failed(self, exc: FieldError, block: ReadBlock) -> Answer:
        if isinstance(exc, Quarantined):
            await asyncio.sleep(exc.wait_s)
            return Answer(Result.SPOILT)
        if isinstance(exc, FramingError):
            self._statistics.crc_errors += 1
            self._noise.spoilt(READ_OVERHEAD_CHARS + block.data_bytes)
            return Answer(Result.SPOILT)
        if isinstance(exc, ReplyTimeout):
            self._statistics.timeouts += 1
            key = block.table, block.address, block.count
            self._silent[key] = self._silent.get(key, 0) + 1
            return Answer(Result.SILENT)
        self._statistics.connection_errors += 1
        return Answer(Result.UNPLUGGED)

    def _good(self, block: ReadBlock) -> None:
        # what is answered now was asked in vain before because noise hit the request
        for _ in range(self._silent.pop((block.table, block.address, block.count), 0)):
            self._noise.spoilt(_REQUEST_CHARS)
        self._noise.got_through(READ_OVERHEAD_CHARS + block.data_bytes)
