"""
One JSON object a line, both ways, over a Unix socket in the state directory.

    request   {"id": 1, "do": "read", "with": {...}}
    answer    {"id": 1, "result": ...}  |  {"id": 1, "error": "..."}
    stream    {"id": 1, "item": ...} any number of times, then {"id": 1, "result": null}

Who may open the socket is a matter of file permissions (0600 in a folder of 0700): the owner of the bridge.
"""

from typing import Any

import msgspec

from bridge.core.errors import BridgeError

# File name inside the state directory.
SOCKET_NAME = "control.sock"
# Argument that the server adds to each request: the account that asks.
CALLER = "caller"
# Bytes of a request; of an answer: 80,000 points with texts are 20 MB.
REQUEST_LIMIT = 1 << 20
ANSWER_LIMIT = 1 << 26


class ControlError(BridgeError):
    """The bridge says no, is not there, or answers with something else."""


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: int
    do: str
    arguments: dict[str, Any] = msgspec.field(name="with", default_factory=dict)


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Exactly one of `result`, `error` and `item` is set; `result` may be None and then ends a stream."""

    id: int
    result: Any = None
    error: str | msgspec.UnsetType = msgspec.UNSET
    item: Any | msgspec.UnsetType = msgspec.UNSET
