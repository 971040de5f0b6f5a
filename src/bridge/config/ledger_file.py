"""
numbering.lock.yaml: the ledger as text. Written by the program, read strictly: what is damaged is never guessed at.

    version: 1
    entries: 3                      # lines under live, retired and spent: tells a file that was cut short
    spaces:
      bacnet.analog-input:
        revision: 2
        live:
          tenant-12.active_power_total: 1
          tenant-12.waveform: 7..10
        retired:
          old-meter.frequency: 2
        spent:
          5: tenant-12.frequency
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from bridge.config.ledger import KEY, MAX_NUMBER, MAX_SIZE, Block, Space, clash
from bridge.core.errors import ConfigError, ConfigErrors

LEDGER_FILE = "numbering.lock.yaml"
VERSION = 1
# 80,000 points on six protocols at 60 bytes, twice
MAX_BYTES = 64_000_000

_HEADER = (
    "# The numbers that clients of this site know. Written by meterbridge: keep it in version control\n"
    "# beside site.yaml and do not edit it. After a merge keep the lines of both sides and correct `entries`.\n"
)
_FACT = re.compile(r"(version|entries): ([0-9]{1,9})\Z", re.ASCII)
_SPACE = re.compile(r"  ([^ ]+):\Z")
_REVISION = re.compile(r"    revision: ([0-9]{1,10})\Z", re.ASCII)
_SECTION = re.compile(r"    (live|retired|spent):\Z")
_ENTRY = re.compile(r"      ([^ ]+): ([^ ]+)\Z")
_BLOCK = re.compile(r"([0-9]{1,10})(?:\.\.([0-9]{1,10}))?\Z", re.ASCII)


def read_ledger(path: Path) -> dict[str, Space]:
    """Return the spaces of a ledger file, none for a file that is not there. Raises: ConfigErrors."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as exc:
        raise _damaged(str(path), 1, f"expected a file that can be read: {exc.strerror}") from exc
    if len(raw) > MAX_BYTES:
        raise _damaged(str(path), 1, f"expected at most {MAX_BYTES} bytes, found more")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        raise _damaged(str(path), line, f"expected UTF-8, found the byte {raw[exc.start]:#04x}") from exc
    return parse_ledger(text, str(path))


def write_ledger(path: Path, spaces: Mapping[str, Space]) -> bool:
    """
    Write the ledger so that a power cut leaves the old file or the new one; return False if it is up to date.

    Blocks for the disk: not on the event loop. Raises: OSError.
    """
    text = ledger_text(spaces).encode()
    if path.is_file() and path.read_bytes() == text:
        return False
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True


def ledger_text(spaces: Mapping[str, Space]) -> str:
    """Return the file's text: the same for the same numbers, one line each, so that a diff shows what changed."""
    lines: list[str] = []
    entries = 0
    for name in sorted(spaces):
        space = spaces[name]
        lines += [f"  {name}:", f"    revision: {space.revision}"]
        for section, blocks in (("live", space.live), ("retired", space.retired)):
            if blocks:
                lines += [f"    {section}:", *(f"      {key}: {blocks[key]}" for key in sorted(blocks))]
        if space.spent:
            lines += ["    spent:", *(f"      {b}: {key}" for _, (b, key) in sorted(space.spent.items()))]
        entries += len(space.live) + len(space.retired) + len(space.spent)
    return f"{_HEADER}version: {VERSION}\nentries: {entries}\nspaces:\n" + "".join(line + "\n" for line in lines)


def parse_ledger(text: str, file: str) -> dict[str, Space]:
    """Return the spaces of a ledger's text. Raises: ConfigErrors with the line that is damaged."""
    parser = _Parser(file)
    lines = text.split("\n")
    if lines[-1]:
        raise _damaged(file, len(lines), "expected a line end at the end of the file, found none")
    for number, line in enumerate(lines, 1):
        if line and not line.startswith("#"):
            parser.take(number, line)
    return parser.end(len(lines))


def _damaged(file: str, line: int, message: str) -> ConfigErrors:
    hint = "; take the last good version of the file from version control"
    return ConfigErrors([ConfigError(file, line, 1, "(ledger)", message + hint)])


class _Parser:
    """Takes line after line; the order of the parts is fixed."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._facts: dict[str, int] = {}
        self._spaces: dict[str, Space] | None = None
        self._space: Space | None = None
        self._space_name = ""
        self._section = ""
        self._entries = 0
        self._starts: dict[str, int] = {}

    def take(self, number: int, line: str) -> None:
        if self._section and (entry := _ENTRY.match(line)):
            self._entry(number, entry[1], entry[2])
        elif self._spaces is None:
            self._head(number, line)
        elif found := _SPACE.match(line):
            self._open(number, found[1], self._spaces)
        elif self._space is not None and (found := _REVISION.match(line)) and self._space.revision < 0:
            self._space.revision = int(found[1])
        elif self._space is not None and self._space.revision >= 0 and (found := _SECTION.match(line)):
            self._section = found[1]
        else:
            raise self._wrong(number, line)

    def _head(self, number: int, line: str) -> None:
        found = _FACT.match(line)
        if found and found[1] not in self._facts:
            self._facts[found[1]] = int(found[2])
            if found[1] == "version" and self._facts["version"] != VERSION:
                raise _damaged(self._file, number, f"expected version {VERSION}, found {found[2]}")
        elif line == "spaces:" and len(self._facts) == 2:
            self._spaces = {}
        else:
            raise self._wrong(number, line)

    def _open(self, number: int, name: str, spaces: dict[str, Space]) -> None:
        if KEY.match(name) is None or name in spaces:
            raise _damaged(self._file, number, f"expected each space once, found {name[:80]!r}")
        self._space, self._space_name, self._section = Space(revision=-1), name, ""
        self._starts[name] = number
        spaces[name] = self._space

    def _entry(self, number: int, left: str, right: str) -> None:
        assert self._space is not None
        key, digits = (right, left) if self._section == "spent" else (left, right)
        block = self._block(number, digits)
        if KEY.match(key) is None:
            raise _damaged(self._file, number, f"expected a key, found {key[:80]!r}")
        space = self._space
        if self._section == "spent":
            if block.first in space.spent:
                raise _damaged(self._file, number, f"expected each number once, found {digits} a second time")
            space.spent[block.first] = (block, key)
        else:
            if key in space.live or key in space.retired:
                raise _damaged(self._file, number, f"expected each key once, found {key} a second time")
            (space.live if self._section == "live" else space.retired)[key] = block
        self._entries += 1

    def _block(self, number: int, digits: str) -> Block:
        found = _BLOCK.match(digits)
        first = int(found[1]) if found else -1
        last = int(found[2] or found[1]) if found else -1
        if not 0 <= first <= last <= MAX_NUMBER or last - first >= MAX_SIZE:
            raise _damaged(self._file, number, f"expected a number or first..last, found {digits[:40]!r}")
        return Block(first, last - first + 1)

    def end(self, last_line: int) -> dict[str, Space]:
        if self._spaces is None:
            raise _damaged(
                self._file, last_line, "expected `version`, `entries` and `spaces`, found the end of the file"
            )
        if self._entries != self._facts["entries"]:
            message = f"expected {self._facts['entries']} entries as its head says, found {self._entries}"
            raise _damaged(self._file, last_line, message)
        for name, space in self._spaces.items():
            if space.revision < 0:
                raise _damaged(self._file, self._starts[name], f"expected a revision of {name}, found none")
            if pair := clash(space):
                message = f"expected one owner of each number in {name}, found {pair[2]} of {pair[0]} and of {pair[1]}"
                raise _damaged(self._file, self._starts[name], message)
        return self._spaces

    def _wrong(self, number: int, line: str) -> ConfigErrors:
        if line.startswith(("<<<<<<<", "=======", ">>>>>>>")):
            message = (
                "expected a merged file, found a merge conflict: keep the lines of both sides and correct `entries`"
            )
            return ConfigErrors([ConfigError(self._file, number, 1, "(ledger)", message)])
        return _damaged(self._file, number, f"expected a line of a ledger, found {line[:80]!r}")
