"""
Replies of one device -> samples of its points. Pure.

The rule one must not break: what is no reading leaves the value and the time of the last one as they were.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bridge.config.meter import WordOrder
from bridge.config.model import FieldPoint, Register
from bridge.core.point import NEVER_READ, Batch, Kind, Sample, Value
from bridge.core.quality import Quality
from bridge.field.modbus.decode import Decoder, Judge, Reading, decoder_for, judge_for
from bridge.field.modbus.notice import Notice, Report
from bridge.field.modbus.scales import ScaleChoice, ScaleFactor
from bridge.field.modbus.schedule import BIT_TABLES, ReadBlock
from bridge.field.modbus.words import letter_of, words_of

# (UTC ns of the reply, (index, registers as on the wire) of each energy in it), before its samples are published
Trail = Callable[[int, Sequence[tuple[int, bytes]]], None]
# Counts: how far an index may move between two readings in quick succession that confirm each other.
_CONFIRM_COUNTS = 8


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a point stands in a block's data. `at`: byte, of a bit table: bit. `scale_at`: byte, -1 = not in it."""

    position: int
    index: int
    at: int
    end: int
    scale_at: int
    plain: Decoder | None


@dataclass(frozen=True, slots=True)
class _Layout:
    """
    How to read a block. `numbers` unpacks in one step the values that stand high word first, one after the other, each
    with its position, index and judge in `plain`; the `others` are read one by one. `energies`: (index, first byte,
    last byte + 1) of what may be billed by.
    """

    numbers: struct.Struct
    plain: tuple[tuple[int, int, Judge], ...]
    others: tuple[_Slot, ...]
    energies: tuple[tuple[int, int, int], ...]


class Readings:
    """Decode, hold and judge the points of one device. One loop thread; the caller publishes what is returned."""

    def __init__(self, device: str, points: Sequence[FieldPoint], report: Report) -> None:
        self._device, self._points, self._report = device, points, report
        self._layouts: dict[ReadBlock, _Layout] = {}
        self._choices: dict[int, ScaleChoice] = {}
        self._factors: dict[int, ScaleFactor] = {}
        self._decoders: dict[int, Decoder] = {}
        self._judges: dict[int, Judge] = {}
        self._pending: dict[int, int] = {}
        self._held: list[Sample] = [NEVER_READ] * len(points)
        self._seq = 0
        for position, point in enumerate(points):
            if point.read is not None:
                self._prepare(position, point, point.read)

    def held(self, position: int) -> Sample:
        """Return the last sample of a point."""
        return self._held[position]

    def take(self, block: ReadBlock, data: bytes, utc_ns: int, careful: bool = False) -> tuple[Batch, list[int]]:
        """
        Return the samples in a reply's data, and the positions that need a second reading before they are believed.

        `careful`: the line is so noisy that a CRC alone is no proof; then an energy is believed when two readings in
        succession agree, or when it has not changed.
        """
        layout = self._layouts.get(block) or self._compile(block)
        held, seq = self._held, self._seq
        batch: Batch = []
        unsure: list[int] = []
        others: list[tuple[int, int, Reading]] = []
        for (position, index, judge), number in zip(layout.plain, layout.numbers.unpack_from(data), strict=True):
            reading = judge(number)
            value, quality = reading
            if value is None or careful:
                others.append((position, index, reading))
                continue
            seq += 1
            held[position] = sample = Sample(value, quality, utc_ns, seq)
            batch.append((index, sample))
        others += [(slot.position, slot.index, self._read(block, slot, data)) for slot in layout.others]
        for position, index, (value, quality) in others:
            if careful and value is not None and not self._believed(position, value):
                unsure.append(position)
                continue
            seq += 1
            read = value is not None
            held[position] = sample = (
                Sample(value, quality, utc_ns, seq) if read else _bad(held[position], quality, seq)
            )
            batch.append((index, sample))
        self._seq = seq
        return batch, unsure

    def registers(self, block: ReadBlock, data: bytes) -> list[tuple[int, bytes]]:
        """Return the registers of every energy in a reply, as they came: what a dispute about a bill goes back to."""
        layout = self._layouts.get(block) or self._compile(block)
        return [(index, data[at:end]) for index, at, end in layout.energies]

    def bad(self, quality: Quality, positions: Iterable[int] | None = None) -> Batch:
        """Return samples that say why there is no present reading of these points (None: of all that are read)."""
        batch: Batch = []
        for position in range(len(self._points)) if positions is None else positions:
            if self._points[position].read is None:
                continue
            self._seq += 1
            self._held[position] = _bad(self._held[position], quality, self._seq)
            batch.append((self._points[position].definition.index, self._held[position]))
        return batch

    def state(self, position: int, value: Value, utc_ns: int) -> Batch:
        """Return the sample of a point that the bridge itself knows."""
        self._seq += 1
        self._held[position] = Sample(value, Quality.GOOD, utc_ns, self._seq)
        return [(self._points[position].definition.index, self._held[position])]

    def forget_blocks(self) -> None:
        """Forget what was worked out for blocks of a plan that is replaced."""
        self._layouts.clear()

    def _prepare(self, position: int, point: FieldPoint, register: Register) -> None:
        if register.scale_at is not None:
            self._factors[position] = ScaleFactor(point, register)
        elif register.scale_alternatives:
            self._choices[position] = ScaleChoice(point, register)
        else:
            self._decoders[position] = decoder_for(register, point.definition)
            judge = judge_for(register, point.definition)
            if judge is not None and (register.order is WordOrder.ABCD or register.count == 1):
                self._judges[position] = judge

    def _compile(self, block: ReadBlock) -> _Layout:
        width = 1 if block.table in BIT_TABLES else 2
        letters, end = ">", 0
        plain: list[tuple[int, int, Judge]] = []
        others: list[_Slot] = []
        energies: list[tuple[int, int, int]] = []
        for position in block.points:
            point = self._points[position]
            register = point.read
            assert register is not None
            at = width * (register.address - block.address)
            if point.definition.kind is Kind.ACCUMULATOR:
                energies.append((point.definition.index, at, at + width * register.count))
            judge = self._judges.get(position)
            # two points may be made of the same registers: only the first is unpacked with the others
            if judge is not None and at >= end:
                letters += f"{at - end}x{letter_of(register.type)}"
                end = at + width * words_of(register.type)
                plain.append((position, point.definition.index, judge))
                continue
            scale = -1
            if register.scale_at is not None and 0 <= register.scale_at - block.address < block.count:
                scale = width * (register.scale_at - block.address)
            stop = at + width * register.count
            others.append(_Slot(position, point.definition.index, at, stop, scale, self._decoders.get(position)))
        made = self._layouts[block] = _Layout(struct.Struct(letters), tuple(plain), tuple(others), tuple(energies))
        return made

    def _read(self, block: ReadBlock, slot: _Slot, data: bytes) -> Reading:
        if block.table in BIT_TABLES:
            raw = b"\x01" if data[slot.at >> 3] >> (slot.at & 7) & 1 else b"\x00"
        else:
            raw = data[slot.at : slot.end]
        if slot.plain is not None:
            return slot.plain(raw)
        factor = self._factors.get(slot.position)
        if factor is not None:
            return factor.read(raw, data[slot.scale_at : slot.scale_at + 2] if slot.scale_at >= 0 else b"")
        choice = self._choices[slot.position]
        reading = choice.read(raw)
        if choice.news is not None:
            definition = self._points[slot.position].definition
            self._report(Notice(choice.news, self._device, definition.index, f"{definition.id}: {choice.text}"))
            choice.news = None
        return reading

    def _believed(self, position: int, value: object) -> bool:
        if self._points[position].definition.kind is not Kind.ACCUMULATOR or not isinstance(value, int):
            return True
        if value == self._held[position].value:
            self._pending.pop(position, None)
            return True
        before = self._pending.pop(position, None)
        if before is not None and 0 <= value - before <= _CONFIRM_COUNTS:
            return True
        self._pending[position] = value
        return False


def _bad(held: Sample, quality: Quality, seq: int) -> Sample:
    never = Quality.NEVER_READ if held.value is None else Quality.GOOD
    return Sample(held.value, quality | never, held.source_ns, seq)
