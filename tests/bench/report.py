"""
docs/benchmarks.md: one section per benchmark module, replaced as a whole when that module is run again.

A section stands between `<!-- bench NAME -->` and `<!-- end NAME -->`; text outside the sections is written by hand.
"""

import os
import platform
import re
from pathlib import Path

from tests.bench.table import Table

HEAD = """# Benchmarks

Written by `make bench`: every figure with the machine, the date and the command that made it. Where it can be, a figure
is process CPU or a ratio inside one run, because these depend least on what else the machine does.
"""


def machine() -> str:
    """CPU model, cores, kernel and Python: what a reader needs to compare."""
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    name = model[1] if model else platform.machine()
    return f"{name}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"


def section(name: str, table: Table, date: str, where: str, load: float) -> str:
    parts = [
        f"<!-- bench {name} -->",
        f"## {table.title}",
        table.markdown(),
        *([table.note] if table.note else []),
        f"`python -m tests.bench {name}`, {date}, {where}, load at the start {load:.1f}.",
        f"<!-- end {name} -->",
    ]
    return "\n\n".join(parts)


def merged(document: str, name: str, text: str) -> str:
    """`document` with the section `name` replaced, or added at the end."""
    old = re.compile(rf"<!-- bench {re.escape(name)} -->.*?<!-- end {re.escape(name)} -->", re.DOTALL)
    if old.search(document):
        return old.sub(lambda _: text, document)
    return f"{(document or HEAD).rstrip()}\n\n{text}\n"
