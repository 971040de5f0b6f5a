"""Arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Site = Annotated[Path, typer.Argument(help="site.yaml, or the folder it is in", exists=True, resolve_path=True)]
Json = Annotated[bool, typer.Option("--json", help="print JSON for a program instead of a table for a person")]
