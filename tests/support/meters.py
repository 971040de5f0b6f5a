"""Scripted meters behind a fake `ask`, with the times of a serial line; and field devices to poll them with."""

import asyncio
import random
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.config.meter import Certainty, PfSign, PollClass, RegisterType, Table
from bridge.config.model import DeviceLimits, FieldDevice, FieldPoint, Register
from bridge.core.errors import FieldError, FramingError, ReplyTimeout
from bridge.core.point import DeviceDef, Kind, Nominal, PointDef, Sample, Wiring
from bridge.field.line import LineArbiter, Use
from bridge.field.modbus.words import words_of
from bridge.modbus.timing import LineTiming

SECOND = 1_000_000_000
LINE_9600 = LineTiming(9600, 10)
PERIODS = {PollClass.FAST: 5 * SECOND, PollClass.NORMAL: 10 * SECOND, PollClass.SLOW: 60 * SECOND}


class LoopClock:
    """Monotonic time of the running (virtual) loop; the wall clock may be moved."""

    def __init__(self) -> None:
        self.wall_ns = 1_700_000_000 * SECOND

    def monotonic_ns(self) -> int:
        return round(asyncio.get_running_loop().time() * SECOND)

    def utc_ns(self) -> int:
        return self.wall_ns + self.monotonic_ns()


@dataclass
class Meter:
    """
    Registers by wire address. `missing`: answered with exception 02. `silent`: not answered at all. `deaf`: requests
    not heard. `dead`: no answer.
    """

    registers: dict[int, int] = field(default_factory=dict)
    missing: set[int] = field(default_factory=set)
    silent: set[int] = field(default_factory=set)
    deaf: int = 0
    dead: bool = False
    exception: int = 0
    lie: Callable[[bytes], bytes] | None = None
    most: int = 125
    writes: list[bytes] = field(default_factory=list)
    read_only: bool = False
    deaf_to_writes: bool = False
    ignores_writes: bool = False

    def answer(self, pdu: bytes) -> bytes | None:
        function, address, count = struct.unpack(">BHH", pdu[:5])
        if self.dead or (function > 4 and self.deaf_to_writes):
            return None
        if self.deaf:
            self.deaf -= 1
            return None
        if self.silent & set(range(address, address + count)):
            return None
        if self.exception:
            return bytes((function | 0x80, self.exception))
        if function > 4:
            return self._written(function, address, pdu)
        if count > self.most or self.missing & set(range(address, address + count)):
            return bytes((function | 0x80, 2))
        if function <= 2:
            bits = sum((self.registers.get(address + n, 0) & 1) << n for n in range(count))
            data = bits.to_bytes((count + 7) // 8, "little")
        else:
            data = b"".join(self.registers.get(address + n, 0).to_bytes(2, "big") for n in range(count))
        reply = bytes((function, len(data))) + data
        return self.lie(reply) if self.lie else reply

    def _written(self, function: int, address: int, pdu: bytes) -> bytes:
        if self.read_only:
            return bytes((function | 0x80, 3))
        self.writes.append(pdu)
        if self.ignores_writes:
            return pdu[:5]
        if function == 5:
            self.registers[address] = int(pdu[3] == 0xFF)
        elif function == 15:
            count = int.from_bytes(pdu[3:5], "big")
            for n in range(count):
                self.registers[address + n] = pdu[6 + n // 8] >> (n % 8) & 1
        else:
            words = pdu[3:] if function == 6 else pdu[6:]
            for n in range(len(words) // 2):
                self.registers[address + n] = int.from_bytes(words[2 * n : 2 * n + 2], "big")
        return pdu[:5]

    def put(self, address: int, layout: str, value: float) -> None:
        raw = struct.pack(layout, value)
        for n in range(len(raw) // 2):
            self.registers[address + n] = int.from_bytes(raw[2 * n : 2 * n + 2], "big")


class FakeChannel:
    """`ask` with the times of a real line, its fairness, and noise of `byte_error` per character."""

    def __init__(self, meters: dict[int, Meter], timing: LineTiming = LINE_9600, byte_error: float = 0.0) -> None:
        self.meters, self.timing, self.byte_error = meters, timing, byte_error
        self.arbiter = LineArbiter()
        self.random = random.Random(7)
        self.asked: list[tuple[float, int, bytes, float]] = []
        self.replies: Counter[int] = Counter()
        self.lost: type[FieldError] | None = None

    async def ask(self, use: Use, user: str, unit_id: int, pdu: bytes, timeout_s: float, attempts: int = 2) -> bytes:
        while True:
            attempts -= 1
            try:
                return await self.arbiter.exchange(use, user, lambda: self._exchange(unit_id, pdu, timeout_s))
            except (ReplyTimeout, FramingError):
                if attempts <= 0:
                    raise

    async def _exchange(self, unit_id: int, pdu: bytes, timeout_s: float) -> bytes:
        self.asked.append((asyncio.get_running_loop().time(), unit_id, pdu, timeout_s))
        if self.lost is not None:
            raise self.lost("line", unit_id, "gone")
        char_s = self.timing.char_s
        await asyncio.sleep((len(pdu) + 3) * char_s)
        if unit_id == 0:
            for meter in self.meters.values():
                meter.answer(pdu)
            return b""
        heard = self.random.random() < (1 - self.byte_error) ** (len(pdu) + 3)
        reply = self.meters[unit_id].answer(pdu) if heard else None
        if reply is None:
            await asyncio.sleep(timeout_s)
            raise ReplyTimeout("line", unit_id, "no reply")
        await asyncio.sleep(0.01 + (len(reply) + 3) * char_s + self.timing.quiet_s)
        if self.random.random() >= (1 - self.byte_error) ** (len(reply) + 3):
            raise FramingError("line", unit_id, "bad crc")
        self.replies[unit_id] += 1
        return reply


class Sink:
    """A PointWriter that remembers."""

    def __init__(self) -> None:
        self.now: dict[int, Sample] = {}
        self.log: list[tuple[float, int, Sample]] = []

    def publish(self, batch: Sequence[tuple[int, Sample]]) -> None:
        at = asyncio.get_running_loop().time()
        self.now.update(batch)
        self.log += [(at, index, sample) for index, sample in batch]

    def times(self, index: int) -> list[float]:
        return [at for at, n, sample in self.log if n == index and not sample.quality]


def point(
    index: int,
    address: int,
    stored: RegisterType = RegisterType.UINT16,
    poll: PollClass = PollClass.FAST,
    table: Table = Table.HOLDING,
    **more: Any,
) -> FieldPoint:
    """A point `m.p<index>`; `definition` and `register` fields by keyword."""
    words = words_of(stored) or 1
    names = set(Register.__dataclass_fields__)
    register = {key: value for key, value in more.items() if key in names}
    meaning = {key: value for key, value in more.items() if key not in names and key != "write"}
    what = meaning.pop("kind", Kind.ANALOG)
    definition = PointDef(index, f"m.p{index}", what, **meaning)
    read = Register(table, address, register.pop("count", words), stored, **register)
    return FieldPoint(definition, read, poll, Certainty.CERTAIN, more.get("write"))


def device(
    points: Sequence[FieldPoint],
    unit_id: int = 1,
    periods: dict[PollClass, int] | None = None,
    serial: Register | None = None,
    **limits: Any,
) -> FieldDevice:
    definition = DeviceDef(
        f"m{unit_id}", "meter", "vendor", "model", "line", unit_id, False, Wiring.FOUR_WIRE, Nominal(), {}, "site:1"
    )
    accepted: dict[str, Any] = {
        "max_registers": 125,
        "max_gap": 10,
        "forbidden": (),
        "timeout_s": 1.0,
        "request_delay_s": 0.0,
        "turnaround_s": 0.01,
        "pf_sign": PfSign.IEEE,
    }
    return FieldDevice(definition, DeviceLimits(**(accepted | limits)), tuple(points), periods or PERIODS, serial)
