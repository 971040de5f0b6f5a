"""Where the meter library and the demo site stand that come with the program."""

from pathlib import Path

import bridge


def mappings() -> Path:
    """The shipped `mappings` folder: inside the package of a wheel, else at the top of the repository."""
    package = Path(bridge.__file__).parent
    inside = package / "mappings"
    return inside if inside.is_dir() else package.parents[1] / "mappings"
