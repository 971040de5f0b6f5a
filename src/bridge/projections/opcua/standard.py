"""
Namespace 0, the 5,000 nodes of OPC UA itself, from a file that is mapped into memory: building it takes more than a
second, mapping it none, and of its nodes only those that are touched are ever objects.

    magic | CRC-32 of the rest u32 | count u32 | count x (identifier u32 | offset u32) | one packed pickle per node
The file is made by this program under a name that says for which library and Python: by whoever installs it
(`python -m bridge.projections.opcua.standard`, part of `make` and of the container), or at the first start into the
state directory, in a process of its own, which takes the 90 MB that the building needs with it. A file that is neither
root's nor this user's, or that others could write, is not read.
"""

import asyncio
import contextlib
import mmap
import os
import pickle
import stat
import struct
import sys
import zlib
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
# Bytes of the largest packed node, with room to spare
_NODE_MOST = 1 << 16
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
    """The file, read-only."""

    def __init__(self, path: Path) -> None:
        """Raises: OSError; ValueError for a file that is damaged or somebody else's."""
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            if facts.st_uid not in (0, os.geteuid()) or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise ValueError(f"{path} could be written by others")
            if facts.st_size < _HEAD.size:
                raise ValueError(f"{path} is too short")
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        magic, checksum, count = _HEAD.unpack_from(self._data)
        view = memoryview(self._data)
        if magic != _MAGIC or zlib.crc32(view[_HEAD.size :]) != checksum:
            raise ValueError(f"{path} is damaged")
        # the pages that the checksum touched are not ours to keep
        self._data.madvise(mmap.MADV_DONTNEED)
        self._offsets = dict(_ENTRY.iter_unpack(view[_HEAD.size : _HEAD.size + _ENTRY.size * count]))

    def __contains__(self, identifier: object) -> bool:
        return identifier in self._offsets

    def load(self, identifier: int) -> NodeData:
        """Return a fresh object. Raises: KeyError."""
        unpacker = zlib.decompressobj()
        at = self._offsets[identifier]
        data = unpacker.decompress(self._data[at : at + _NODE_MOST])
        node: NodeData = pickle.loads(data)
        return node


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
