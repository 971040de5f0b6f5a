"""What a person or program is shown of the running bridge: plain rows, made of core facts."""

import math
from typing import Any

from bridge.core.accumulator import decimal_text
from bridge.core.listener import Listener
from bridge.core.point import Kind, PointDef, Sample
from bridge.core.quality import Quality
from bridge.field.modbus.statistics import DeviceSnapshot
from bridge.field.observe import LineCounters
from bridge.workers.status import Status


def point_row(definition: PointDef, sample: Sample, now_ns: int) -> dict[str, Any]:
    """Return one point as shown: `value` is a number, a text or null; energy is an exact decimal text.

    `raw`: as the point table holds it (an accumulator as its count); `flags`: the quality as a number.
    """
    age_s = round((now_ns - sample.source_ns) / 1e9, 3) if sample.source_ns else None
    return {
        "point": definition.id,
        "value": shown_value(definition, sample),
        "unit": definition.unit,
        "quality": quality_text(sample.quality),
        "source_ns": sample.source_ns,
        "age_s": age_s,
        "raw": sample.value,
        "flags": int(sample.quality),
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


def server_row(status: Status, listener: Listener | None) -> dict[str, Any]:
    """Return one server as shown."""
    return {
        "name": status.name,
        "state": status.state.value,
        "answering": status.answering,
        "address": f"{listener.bind}:{listener.port}" if listener is not None else "",
        "pid": status.pid,
        "starts": status.starts,
        "last_end": status.last_end,
        "points_behind": status.points_behind,
        "floods": status.floods,
        "ready_after_s": round(status.ready_after_s, 3),
        "probe_age_s": round(status.probe_age_s, 1) if math.isfinite(status.probe_age_s) else None,
        "counters": status.counters,
    }


def channel_row(name: str, kind: str, counters: LineCounters) -> dict[str, Any]:
    """Return one channel as shown."""
    return {
        "name": name,
        "kind": kind,
        "requests": counters.requests,
        "replies": counters.replies,
        "timeouts": counters.timeouts,
        "bad": counters.bad_crc + counters.incomplete,
        "stray_bytes": counters.stray_bytes,
        "opened": counters.opened,
    }


def device_row(name: str, snapshot: DeviceSnapshot) -> dict[str, Any]:
    """Return one device as shown; times in milliseconds."""
    return {
        "name": name,
        "state": snapshot.state.value,
        "serial_number": snapshot.serial_number,
        "requests": snapshot.requests,
        "replies": snapshot.replies,
        "timeouts": snapshot.timeouts,
        "crc_errors": snapshot.crc_errors,
        "exceptions": {str(code): count for code, count in snapshot.exceptions},
        "missed": snapshot.missed,
        "response_ms": round(snapshot.average_s * 1000, 1),
        "response_max_ms": round(snapshot.max_s * 1000, 1),
        "last_error": snapshot.last_error,
        "last_good_ns": snapshot.last_good_ns,
    }
