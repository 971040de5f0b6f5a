"""Where the loader collects mistakes and warnings, so that one run tells all of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from bridge.config.check import convert_usable
from bridge.config.marked import Marked, Path
from bridge.core.errors import ConfigError, ConfigErrors

T = TypeVar("T")


class Wrong(Exception):
    """One value cannot be used. Never leaves the loader: `Faults` gives it file and line."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key, self.message = key, message


@dataclass(slots=True)
class Faults:
    """`errors` keep the configuration from being used, `warnings` do not."""

    errors: list[ConfigError] = field(default_factory=list)
    warnings: list[ConfigError] = field(default_factory=list)

    def at(self, marked: Marked, path: Path, message: str) -> None:
        """Note a mistake."""
        self.errors.append(marked.error(path, message))

    def warn(self, marked: Marked, path: Path, message: str) -> None:
        """Note something that works but is probably not meant."""
        self.warnings.append(marked.error(path, message))

    def convert(self, marked: Marked, model: type[T], vital: frozenset[str] = frozenset()) -> T | None:
        """Convert as `convert_usable` does; note what is wrong."""
        converted, errors = convert_usable(marked, model, vital)
        self.errors += errors
        return converted

    def raise_if_any(self) -> None:
        """Raises: ConfigErrors, each mistake once."""
        if self.errors:
            raise ConfigErrors(unique(self.errors))


def unique(errors: Iterable[ConfigError]) -> list[ConfigError]:
    """Return each mistake once, file by file in the order of lines: a file that others extend is looked at often."""
    once = list({str(error): error for error in errors}.values())
    files = {error.file: n for n, error in reversed(list(enumerate(once)))}
    return sorted(once, key=lambda error: (files[error.file], error.line, error.column))
