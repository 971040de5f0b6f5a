"""When each demand peak was last reset, kept over restarts: what the lock-out after a reset needs (E-05)."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

FILE = "peak_resets.json"
# (path, content) -> once it is on the disk. Raises: OSError
Save = Callable[[Path, bytes], Awaitable[None]]


class Resets:
    """Loop thread only. A file that cannot be read counts as empty and is written anew with the next reset."""

    def __init__(self, state_dir: Path, save: Save) -> None:
        self._path, self._save = state_dir / FILE, save
        self._at_ns = _read(self._path)

    def last_ns(self, point_id: str) -> int | None:
        """Return the UTC ns of the last reset, None for never."""
        return self._at_ns.get(point_id)

    async def happened(self, point_id: str, utc_ns: int) -> None:
        """Remember a reset. A disk that is full forgets it at the next start, no earlier."""
        self._at_ns[point_id] = utc_ns
        data = msgspec.json.encode(self._at_ns)
        try:
            await self._save(self._path, data)
        except OSError:
            return


def _read(path: Path) -> dict[str, int]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, int])
    except (OSError, msgspec.DecodeError):
        return {}


def write_whole(path: Path, data: bytes) -> None:
    """Put `data` in the place of a file, for the owner only (0600), or leave it as it was. Raises: OSError."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with open(part, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
