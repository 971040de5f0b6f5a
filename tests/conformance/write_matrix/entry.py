"""What one protocol brings to the write matrix."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.bridge_site import RunningBridge


@dataclass(frozen=True)
class Attempt:
    """One write. `send` returns what the client was told; it must contain `told`. `target`: how what the
    audit names begins: the point if the write became a command, else the item in the words of the protocol."""

    name: str
    send: Callable[[RunningBridge, int], str]
    told: str
    target: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One protocol. `mapping`: its file for a listener on a port, with everything open that its mapping can open."""

    protocol: str
    mapping: Callable[[int], dict[str, Any]]
    attempts: tuple[Attempt, ...]
