"""
Replies of one device -> samples of its points. Pure.

The rule one must not break: what is no reading leaves the value and the time of the last one as they were.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from bridge.config.model import FieldPoint, Register
from bridge.core.point import NEVER_READ, Batch, Kind, Sample
from bridge.core.quality import Quality
from bridge.field.modbus.decode import NO_VALUE, Decoder, Reading, decoder_for, scale_factor, scaled
from bridge.field.modbus.notice import Notice, NoticeKind, Report
from bridge.field.modbus.schedule import BIT_TABLES, ReadBlock

# Plausible readings in a row after which a scale is decided.
_SCALE_READINGS = 3
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


class Readings:
    """Decode, hold and judge the points of one device. One loop thread; the caller publishes what is returned."""

    def __init__(self, device: str, points: Sequence[FieldPoint], report: Report) -> None:
        self._device, self._points, self._report = device, points, report
        self._slots: dict[ReadBlock, tuple[_Slot, ...]] = {}
        self._choices: dict[int, _ScaleChoice] = {}
        self._factors: dict[int, _ScaleFactor] = {}
        self._plain: dict[int, Decoder] = {}
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
        slots = self._slots.get(block) or self._compile(block)
        bits = block.table in BIT_TABLES
        held, seq = self._held, self._seq
        batch: Batch = []
        unsure: list[int] = []
        for slot in slots:
            if bits:
                value, quality = self._read(slot, b"\x01" if data[slot.at >> 3] >> (slot.at & 7) & 1 else b"\x00", b"")
            elif slot.plain is not None:
                value, quality = slot.plain(data[slot.at : slot.end])
            else:
                value, quality = self._read(slot, data[slot.at : slot.end], data)
            seq += 1
            if value is None:
                sample = _bad(held[slot.position], quality, seq)
            else:
                if careful and not self._believed(slot.position, value):
                    unsure.append(slot.position)
                    continue
                sample = Sample(value, quality, utc_ns, seq)
            held[slot.position] = sample
            batch.append((slot.index, sample))
        self._seq = seq
        return batch, unsure

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

    def forget_blocks(self) -> None:
        """Forget what was worked out for blocks of a plan that is replaced."""
        self._slots.clear()

    def _prepare(self, position: int, point: FieldPoint, register: Register) -> None:
        if register.scale_at is not None:
            self._factors[position] = _ScaleFactor(point, register)
        elif register.scale_alternatives:
            self._choices[position] = _ScaleChoice(point, register)
        else:
            self._plain[position] = decoder_for(register, point.definition)

    def _compile(self, block: ReadBlock) -> tuple[_Slot, ...]:
        width = 1 if block.table in BIT_TABLES else 2
        slots: list[_Slot] = []
        for position in block.points:
            register = self._points[position].read
            assert register is not None
            at = width * (register.address - block.address)
            scale = -1
            if register.scale_at is not None and 0 <= register.scale_at - block.address < block.count:
                scale = width * (register.scale_at - block.address)
            index = self._points[position].definition.index
            end = at + width * register.count
            slots.append(_Slot(position, index, at, end, scale, self._plain.get(position)))
        self._slots[block] = made = tuple(slots)
        return made

    def _read(self, slot: _Slot, raw: bytes, data: bytes) -> Reading:
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


class _ScaleFactor:
    """A value whose scale is a register of its own (SunSpec `_SF`)."""

    def __init__(self, point: FieldPoint, register: Register) -> None:
        self._point, self._register = point, register
        self._decoders: dict[Fraction, Decoder] = {}

    def read(self, raw: bytes, scale: bytes) -> Reading:
        factor = scale_factor(scale)
        if factor is None:
            return NO_VALUE
        decode = self._decoders.get(factor)
        if decode is None:
            decode = self._decoders[factor] = decoder_for(scaled(self._register, factor), self._point.definition)
        return decode(raw)


class _ScaleChoice:
    """A value whose scale the documents disagree on: the first candidate that stays within the limits wins."""

    def __init__(self, point: FieldPoint, register: Register) -> None:
        scales = (register.scale, *register.scale_alternatives)
        self._candidates: list[tuple[Fraction, Decoder]] = [
            (scale, decoder_for(scaled(register, scale / register.scale), point.definition)) for scale in scales
        ]
        self._decided: Callable[[bytes], Reading] | None = None
        self._left = list(self._candidates)
        self._readings = 0
        self.news: NoticeKind | None = None
        self.text = ""

    def read(self, raw: bytes) -> Reading:
        if self._decided is not None:
            return self._decided(raw)
        readings = [(scale, decode, decode(raw)) for scale, decode in self._left]
        good = [(scale, decode, reading) for scale, decode, reading in readings if reading[0] is not None]
        if not good:
            self._start_again(all(reading == NO_VALUE for _, _, reading in readings))
            return readings[0][2]
        scale, decode, (value, quality) = good[0]
        if not value:
            # nothing is the same in every scale and decides nothing
            return value, quality
        self._left = [(scale, decode) for scale, decode, _ in good]
        self._readings += 1
        if self._readings < _SCALE_READINGS:
            return value, quality | Quality.QUESTIONABLE
        self._decided = decode
        self.news, self.text = NoticeKind.SCALE_DECIDED, f"scale {_text(scale)} by plausibility, first value {value}"
        return value, quality

    def _start_again(self, no_value: bool) -> None:
        if no_value:
            return
        if len(self._left) == len(self._candidates) and not self.text:
            tried = ", ".join(_text(scale) for scale, _ in self._candidates)
            self.news, self.text = NoticeKind.SCALE_UNDECIDED, f"no scale of {tried} gives a value within the limits"
        self._left, self._readings = list(self._candidates), 0


def _text(scale: Fraction) -> str:
    return format(float(scale), "g")


def _bad(held: Sample, quality: Quality, seq: int) -> Sample:
    never = Quality.NEVER_READ if held.value is None else Quality.GOOD
    return Sample(held.value, quality | never, held.source_ns, seq)
