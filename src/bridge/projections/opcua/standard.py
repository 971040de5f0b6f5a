"""
Namespace 0, the 5,000 nodes of OPC UA itself, from a file: building it takes more than a second, reading one node
20 us, and of its nodes only those that are touched are ever objects.

    magic | CRC-32 of the rest u32 | count u32 | count x (identifier u32 | offset u32) | one packed pickle per node
The file is made by this program under a name that says for which library and Python: by whoever installs it
(`python -m bridge.projections.opcua.standard`, part of `make` and of the container), or at the first start into the
state directory, in a process of its own, which takes the 90 MB that the building needs with it. A file that is neither
root's nor this user's, or that others could write, is not read.
"""

import asyncio
import contextlib
import os
import pickle
import stat
import struct
import sys
import weakref
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from asyncua import ua
from asyncua.server.address_space import NodeData
from asyncua.server.internal_server import InternalServer

# the last but one character counts the formats: a file of another one is made anew
_MAGIC = b"UA1\n"
_HEAD = struct.Struct("<4sII")
_ENTRY = struct.Struct("<II")
# 18 MB become 6; unpacking one node takes 20 us
_LEVEL = 1
# Bytes read at a time for the checksum
_BLOCK = 1 << 16
# s, for the process that builds the file
_PATIENCE_S = 60.0


def file_name() -> str:
    python = ".".join(map(str, sys.version_info[:3]))
    return f"namespace0-asyncua-{version('asyncua')}-python-{python}.bin"


def installed() -> Path:
    """Return where whoever installs the program puts the file."""
    return Path(sys.prefix) / "share" / "meterbridge" / file_name()


def save(nodes: Mapping[ua.NodeId, NodeData], path: Path) -> None:
    """Raises: OSError."""
    index, body, offset = list[bytes](), list[bytes](), _HEAD.size + _ENTRY.size * len(nodes)
    for node_id, node in nodes.items():
        node.call = None
        data = zlib.compress(pickle.dumps(node, pickle.HIGHEST_PROTOCOL), _LEVEL)
        index.append(_ENTRY.pack(node_id.Identifier, offset))
        body.append(data)
        offset += len(data)
    rest = b"".join((*index, *body))
    part = path.with_suffix(f".{os.getpid()}")
    part.write_bytes(_HEAD.pack(_MAGIC, zlib.crc32(rest), len(index)) + rest)
    part.chmod(0o600)
    part.replace(path)


class StandardNodes:
    """The file, read-only and never mapped: pages that strangers touch would count as this process's memory."""

    def __init__(self, path: Path) -> None:
        """Raises: OSError; ValueError for a file that is damaged or somebody else's."""
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._file)
        facts = os.fstat(self._file)
        if facts.st_uid not in (0, os.geteuid()) or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise ValueError(f"{path} could be written by others")
        if facts.st_size < _HEAD.size:
            raise ValueError(f"{path} is too short")
        magic, checksum, count = _HEAD.unpack(os.read(self._file, _HEAD.size))
        if magic != _MAGIC or self._checksum() != checksum:
            raise ValueError(f"{path} is damaged")
        index = os.pread(self._file, _ENTRY.size * count, _HEAD.size)
        # sorted arrays: a dict of as many numbers takes ten times the memory
        entries = sorted(_ENTRY.iter_unpack(index))
        self._ids = array("I", (identifier for identifier, _ in entries))
        self._offsets = array("I", (offset for _, offset in entries))
        self._starts = array("I", sorted(self._offsets))
        self._size = facts.st_size

    def _checksum(self) -> int:
        """Of what follows the head."""
        found = 0
        while data := os.read(self._file, _BLOCK):
            found = zlib.crc32(data, found)
        return found

    def __contains__(self, identifier: object) -> bool:
        return isinstance(identifier, int) and self._at(identifier) is not None

    def load(self, identifier: int) -> NodeData:
        """Return a fresh object. Raises: KeyError, OSError."""
        at = self._at(identifier)
        if at is None:
            raise KeyError(identifier)
        begin = self._offsets[at]
        after = bisect_right(self._starts, begin)
        end = self._starts[after] if after < len(self._starts) else self._size
        node: NodeData = pickle.loads(zlib.decompress(os.pread(self._file, end - begin, begin)))
        return node

    def _at(self, identifier: int) -> int | None:
        at = bisect_left(self._ids, identifier)
        return at if at < len(self._ids) and self._ids[at] == identifier else None


async def provide(folder: Path) -> StandardNodes:
    """Return the nodes, after building their file where there is none. Raises: OSError, ValueError, TimeoutError."""
    path = folder / file_name()
    for candidate in (installed(), path):
        with contextlib.suppress(OSError, ValueError):
            return StandardNodes(candidate)
    builder = await asyncio.create_subprocess_exec(sys.executable, "-m", __name__, str(path))
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await builder.wait()
    finally:
        if builder.returncode is None:
            builder.kill()
    return StandardNodes(path)


class _Builder(InternalServer):
    """The library's server as it comes, for its nodes."""

    async def nodes(self) -> Mapping[ua.NodeId, NodeData]:
        await self.load_standard_address_space(None)
        await self._address_space_fixes()
        found: Mapping[ua.NodeId, NodeData] = self.aspace._nodes
        return found


def main(arguments: Sequence[str]) -> None:
    """Build the file at the path given, or where an installation has it. Raises: OSError."""
    path = Path(arguments[0]) if arguments else installed()
    path.parent.mkdir(parents=True, exist_ok=True)
    save(asyncio.run(_Builder().nodes()), path)
    path.chmod(0o600 if arguments else 0o644)


if __name__ == "__main__":
    main(sys.argv[1:])
