"""What a person or program is shown of the running bridge: plain rows, made of core facts."""

from typing import Any

from bridge.core.accumulator import decimal_text
from bridge.core.point import Kind, PointDef, Sample
from bridge.core.quality import Quality


def point_row(definition: PointDef, sample: Sample, now_ns: int) -> dict[str, Any]:
    """Return one point as shown: `value` is a number, a text or null; energy is an exact decimal text."""
    age_s = round((now_ns - sample.source_ns) / 1e9, 3) if sample.source_ns else None
    return {
        "point": definition.id,
        "value": shown_value(definition, sample),
        "unit": definition.unit,
        "quality": quality_text(sample.quality),
        "source_ns": sample.source_ns,
        "age_s": age_s,
        "count": sample.value if definition.kind is Kind.ACCUMULATOR else None,
    }


def shown_value(definition: PointDef, sample: Sample) -> float | int | str | bool | None:
    """Return the value in the unit of the point; an accumulator as exact decimal text."""
    if definition.kind is Kind.ACCUMULATOR and isinstance(sample.value, int):
        return decimal_text(sample.value, definition.resolution)
    return sample.value


def quality_text(quality: Quality) -> str:
    """Return 'good', or the flags in lower case joined by '+'."""
    if quality == Quality.GOOD:
        return "good"
    return "+".join(str(flag.name).lower() for flag in Quality if flag & quality)
