"""Who the agent is, kept over restarts: engine id and the number of its starts."""

import os
from pathlib import Path

from bridge.projections.snmp.ber import Oid

_ENTERPRISES: Oid = (1, 3, 6, 1, 4, 1)
# netSnmp, for an enterprise_oid that is not below `enterprises`
_NET_SNMP = 8072
# Format of the octets that follow: administratively assigned (RFC 3411, 5)
_FORMAT = 5
_RANDOM_BYTES = 12


def engine_id_of(folder: Path, enterprise: Oid, wanted: str) -> bytes:
    """
    Return the engine id: `wanted` (hexadecimal), else the one of the last start, else a new one.

    Raises: OSError; ValueError when the file holds none: with another id every user's keys would change.
    """
    if wanted:
        return bytes.fromhex(wanted)
    file = folder / "engine_id"
    if file.exists():
        kept = bytes.fromhex(file.read_text("ascii"))
        if not 5 <= len(kept) <= 32:
            raise ValueError(f"{file}: expected 5 to 32 octets, found {len(kept)}")
        return kept
    number = enterprise[6] if enterprise[:6] == _ENTERPRISES and len(enterprise) > 6 else _NET_SNMP
    made = (0x8000_0000 | number).to_bytes(4, "big") + bytes((_FORMAT,)) + os.urandom(_RANDOM_BYTES)
    write_durably(file, made.hex() + "\n")
    return made


def write_durably(file: Path, text: str) -> None:
    """Write a small file so that it is whole or the old one after any crash. Raises: OSError."""
    fresh = file.with_suffix(".new")
    with fresh.open("w", encoding="ascii") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
