"""Values whose scale is not known beforehand: a register of its own, or one of several candidates. Pure."""

from collections.abc import Callable
from fractions import Fraction

from bridge.config.model import FieldPoint, Register
from bridge.core.quality import Quality
from bridge.field.modbus.decode import NO_VALUE, Decoder, Reading, decoder_for, scale_factor, scaled
from bridge.field.modbus.notice import NoticeKind

# Plausible readings in a row after which a scale is decided.
_SCALE_READINGS = 3


class ScaleFactor:
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


class ScaleChoice:
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
