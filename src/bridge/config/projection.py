"""Between the core's reading of a projection file and the projection's own model of it: lines for its mistakes."""

from typing import TypeVar

import msgspec

from bridge.config.check import convert
from bridge.config.model import ProjectionFile
from bridge.core.errors import ConfigError, ConfigErrors, ProjectionError

M = TypeVar("M", bound=msgspec.Struct)


def convert_mapping(file: ProjectionFile, model: type[M]) -> tuple[M | None, tuple[ConfigError, ...]]:
    """Return the mapping the user wrote, or every mistake in it. An empty file is a mapping of defaults."""
    marked = file.marked
    if marked.data is None:
        marked.data = {}
    try:
        return convert(marked, (), model), ()
    except ConfigErrors as exc:
        return None, exc.errors


def at_path(error: ProjectionError, file: ProjectionFile) -> ConfigError:
    """Return a projection's refusal with file, line and column of what it refuses."""
    return file.marked.error(error.path, error.message)
