"""
Namespace 0, the 5,000 nodes of OPC UA itself, from a file that is mapped into memory: building it takes more than a
second, mapping it none, and of its nodes only those that are touched are ever objects.

    magic | CRC-32 of the rest u32 | count u32 | count x (identifier u32 | offset u32) | one pickle per node
The file is this user's own, made by this program under a name that says for which library and Python; what others could
write is not read.
"""

import mmap
import os
import pickle
import stat
import struct
import sys
import zlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from asyncua import ua
from asyncua.server.address_space import NodeData

_MAGIC = b"UA0\n"
_HEAD = struct.Struct("<4sII")
_ENTRY = struct.Struct("<II")


def file_name() -> str:
    python = ".".join(map(str, sys.version_info[:3]))
    return f"namespace0-asyncua-{version('asyncua')}-python-{python}.bin"


def save(nodes: Mapping[ua.NodeId, NodeData], path: Path) -> None:
    """Raises: OSError."""
    index, body, offset = list[bytes](), list[bytes](), _HEAD.size + _ENTRY.size * len(nodes)
    for node_id, node in nodes.items():
        node.call = None
        data = pickle.dumps(node, pickle.HIGHEST_PROTOCOL)
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
            if facts.st_uid != os.geteuid() or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise ValueError(f"{path} is not this user's own")
            if facts.st_size < _HEAD.size:
                raise ValueError(f"{path} is too short")
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        magic, checksum, count = _HEAD.unpack_from(self._data)
        view = memoryview(self._data)
        if magic != _MAGIC or zlib.crc32(view[_HEAD.size :]) != checksum:
            raise ValueError(f"{path} is damaged")
        self._offsets = dict(_ENTRY.iter_unpack(view[_HEAD.size : _HEAD.size + _ENTRY.size * count]))

    def __contains__(self, identifier: object) -> bool:
        return identifier in self._offsets

    def load(self, identifier: int) -> NodeData:
        """Return a fresh object. Raises: KeyError."""
        node: NodeData = pickle.loads(memoryview(self._data)[self._offsets[identifier] :])
        return node
