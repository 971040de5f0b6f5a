"""
What simulated meters have counted, as a file: meters that start again go on where they were.

A meter goes on counting while nobody looks: at the start the time since the file was written is integrated with the
power of the moment. Pins are not kept; an index that was pinned goes on from there, as if it had been released.
"""

import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bridge.simulator.meters import KeptMeter, SimulatedMeter

_log = logging.getLogger("bridge.simulator")


class Kept(msgspec.Struct, frozen=True):
    """`at_ns`: UTC, when it was written."""

    at_ns: int
    meters: dict[str, KeptMeter]


def restore(path: Path, meters: Mapping[str, SimulatedMeter], utc_ns: int) -> None:
    """Let the meters go on from the file; without one, or with a damaged one, they begin anew."""
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return
    except (OSError, msgspec.DecodeError) as exc:
        _log.warning("kept_unreadable file=%s error=%s", path, exc)
        return
    gap_ns = max(utc_ns - kept.at_ns, 0)
    for name, meter in meters.items():
        if name in kept.meters:
            try:
                meter.restore(kept.meters[name], gap_ns)
            except ValueError as exc:
                _log.warning("kept_unreadable file=%s meter=%s error=%s", path, name, exc)


def save(path: Path, meters: Mapping[str, SimulatedMeter], utc_ns: int) -> None:
    """Raises: OSError."""
    write_whole(path, msgspec.json.encode(Kept(utc_ns, {name: meter.kept() for name, meter in meters.items()})))


def write_whole(path: Path, text: bytes) -> None:
    """Write so that a reader sees nothing or all of it. Raises: OSError."""
    beside = path.with_name(path.name + ".part")
    try:
        beside.write_bytes(text)
        beside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
