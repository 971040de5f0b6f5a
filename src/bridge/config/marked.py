"""Values read from a file, and where each of them stands."""

from dataclasses import dataclass, field
from typing import Any

from bridge.core.errors import ConfigError

Path = tuple[str | int, ...]


@dataclass(slots=True)
class Marked:
    """
    A file's values and where each stands. `files`: for parts that were taken over from another file (`extends`).
    `texts`: numbers that were written otherwise than they print, such as 0x2100 and 8E1.

    A value under a path that could not be used (a duplicate, say) is absent from `data`.
    """

    file: str
    data: Any = None
    marks: dict[Path, tuple[int, int]] = field(default_factory=lambda: {(): (1, 1)})
    files: dict[Path, str] = field(default_factory=dict)
    texts: dict[Path, str] = field(default_factory=dict)

    def where(self, path: Path) -> tuple[int, int]:
        """Return line and column of `path`, or of the nearest thing around it."""
        while path not in self.marks:
            path = path[:-1]
        return self.marks[path]

    def file_of(self, path: Path) -> str:
        """Return the file that `path` was written in."""
        while path and path not in self.files:
            path = path[:-1]
        return self.files.get(path, self.file)

    def error(self, path: Path, message: str) -> ConfigError:
        """Return the mistake at `path`."""
        return ConfigError(self.file_of(path), *self.where(path), dotted(path), message)

    def place(self, path: Path) -> str:
        """Return `file:line` of `path`."""
        return f"{self.file_of(path)}:{self.where(path)[0]}"

    def has(self, path: Path) -> bool:
        """Tell whether the user wrote `path`."""
        return path in self.marks


def dotted(path: Path) -> str:
    """Return a path as people read it."""
    return ".".join(str(step) for step in path) or "(file)"
