"""
Where the served CID comes from: generated from the plan, or the one file in the folder an engineer drops it into.

Exactly one valid file opens the port; none, two or a faulty one keep it closed and say why (seed 004, l.3990-4031).
What came of it stands in the folder's own log, read-only for everybody.
"""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bridge.core.point import Kind
from bridge.projections.iec61850 import scl
from bridge.projections.iec61850.cid import cid
from bridge.projections.iec61850.plan import Plan
from bridge.projections.iec61850.rules import facts_of
from bridge.projections.iec61850.sclxml import SIZE_LIMIT, CidError, Fault
from bridge.projections.iec61850.tree import Model

# What the generated CID calls the revision of its model; it moves when the rules of `objects` do.
MODEL_REVISION: Final = "1"
LOG_NAME: Final = "iec61850.log"
# s between two looks into the folder
LOOK_S: Final = 0.5
# Bytes of the log; the older half goes.
_LOG_MOST: Final = 65_536
# Faults of one file that the log tells.
_FAULTS_TOLD: Final = 50
# (name, size, time of change) of every CID file
Look = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """`model` None: nothing is served, and `why` says so in a line. `faults`: of the file. `look`: what was there."""

    model: Model | None
    why: str
    faults: tuple[Fault, ...] = ()
    look: Look = ()


def folder_of(plan: Plan, state_dir: str) -> Path | None:
    """Return the folder of the CID file; None for the generated one."""
    return Path(state_dir) / plan.cid_dir if plan.cid_dir else None


def load(plan: Plan, folder: Path | None, kinds: Mapping[str, Kind]) -> Loaded:
    """Read and check the CID; seconds for a large one, so not for the loop thread. Raises: OSError."""
    facts = facts_of(plan, kinds)
    if folder is None:
        return Loaded(scl.load(cid(plan, MODEL_REVISION), facts), "generated from the mapping")
    seen = look(folder)
    if len(seen) != 1:
        return Loaded(None, f"expected exactly one .cid file in {folder}, found {len(seen)}", (), seen)
    name = seen[0][0]
    try:
        with (folder / name).open("rb") as file:
            model = scl.load(file.read(SIZE_LIMIT + 1), facts)
    except CidError as exc:
        why = f"{name} refused with {len(exc.faults)} faults, the first: {exc.faults[0]}"
        return Loaded(None, why, exc.faults, seen)
    except OSError as exc:
        return Loaded(None, f"{name} cannot be read: {exc.strerror}", (), seen)
    return Loaded(model, name, (), seen)


def look(folder: Path) -> Look:
    """Return what CID files there are now."""
    found: list[tuple[str, int, int]] = []
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return ()
    for entry in entries:
        try:
            if entry.name.lower().endswith(".cid") and entry.is_file():
                status = entry.stat()
                found.append((entry.name, status.st_size, status.st_mtime_ns))
        except OSError:
            # gone between the two calls
            continue
    return tuple(found)


async def changed(folder: Path | None, before: Look) -> None:
    """Return when the files are others than `before` and the same for two looks: not amid a copy."""
    if folder is None:
        await asyncio.Event().wait()
        return
    earlier = before
    while True:
        await asyncio.sleep(LOOK_S)
        now = look(folder)
        if now != before and now == earlier:
            return
        earlier = now


def record(folder: Path | None, loaded: Loaded, now_ns: int) -> None:
    """Add what came of loading to the folder's log; a folder that cannot be written to has none."""
    if folder is None:
        return
    at = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    state = "serving" if loaded.model is not None else "closed"
    lines = [f"{at} {state} {loaded.why}\n"]
    lines += [f"{at}   {fault}\n" for fault in loaded.faults[:_FAULTS_TOLD]]
    if len(loaded.faults) > _FAULTS_TOLD:
        lines.append(f"{at}   and {len(loaded.faults) - _FAULTS_TOLD} more\n")
    path, part = folder / LOG_NAME, folder / f".{LOG_NAME}.part"
    try:
        old = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        text = old + "".join(lines)
        if len(text) > _LOG_MOST:
            text = text[-_LOG_MOST // 2 :].partition("\n")[2]
        part.unlink(missing_ok=True)
        part.write_text(text, encoding="utf-8")
        part.chmod(0o444)
        part.replace(path)
    except OSError:
        return
