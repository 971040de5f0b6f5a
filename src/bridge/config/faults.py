"""Where the loader collects mistakes and warnings, so that one run tells all of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from bridge.config.check import convert
from bridge.config.yaml_marks import Marked, Path
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

    def convert(self, marked: Marked, path: Path, model: type[T]) -> T | None:
        """Convert, or note what is wrong and return None."""
        try:
            return convert(marked, path, model)
        except ConfigErrors as exc:
            self.errors += exc.errors
            return None

    def raise_if_any(self) -> None:
        """Raises: ConfigErrors, each mistake once."""
        if self.errors:
            raise ConfigErrors(unique(self.errors))


def unique(errors: Iterable[ConfigError]) -> list[ConfigError]:
    """Return each mistake once: a file that others extend is looked at several times."""
    return list({str(error): error for error in errors}.values())
