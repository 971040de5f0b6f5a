"""Where the shipped meter files and the demo site are: inside an installed wheel, or in the source tree."""

from pathlib import Path

import bridge


def package_dir() -> Path:
    """Return the folder of the import package."""
    return Path(bridge.__file__).resolve().parent


def library_dir() -> Path:
    """Return the folder of the shipped meter files."""
    return _shipped("meters")


def demo_dir() -> Path:
    """Return the folder of the demo site."""
    return _shipped("demo")


def schema_dir() -> Path:
    """Return the folder of the JSON Schemas."""
    return _shipped("schema")


def _shipped(name: str) -> Path:
    package = package_dir()
    installed = package / "data" / name
    return installed if installed.is_dir() else package.parents[1] / "mappings" / name
