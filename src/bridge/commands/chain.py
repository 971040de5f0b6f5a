"""
The audit's records as lines, each sealed with the one before. Pure.

    {"n":7,"time":"2026-01-31T12:00:00.123456Z", ... ,"prev":"<64 hex>","hash":"<64 hex>"}

`hash` is SHA-256 of the line up to `,"hash"` and a closing brace; `prev` is the hash of the line before, 64 zeros in
the first. Whoever changes, removes or inserts a line breaks every hash after it.
"""

import hashlib

import msgspec

from bridge.core.errors import BridgeError

GENESIS = "0" * 64
# Bytes; longer lines are no records of ours
LINE_LIMIT = 16_384
_MARK = b',"hash":"'
_END = b'"}'
_TEXT_LIMIT = 512

Shown = float | int | bool | str | None


class ChainBroken(BridgeError):
    """A line that does not follow from the one before."""


class Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    What happened. `kind`: command, raw, raw bytes, login, user, tls, configuration, audit. `result`: an outcome, or
    `started` for a command about to be carried out. `of`: number of the record that says it started. `repeated`: how
    often the same was refused since the last record of it.
    """

    kind: str
    result: str
    target: str = ""
    protocol: str = ""
    peer: str = ""
    user: str = ""
    role: str = ""
    old: Shown = None
    new: Shown = None
    reason: str = ""
    of: int = 0
    repeated: int = 0


class Record(Fact, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fact in its place in the chain. `n` has no gaps. `time`: UTC."""

    n: int
    time: str
    prev: str
    hash: str


def seal(fact: Fact, n: int, time: str, prev: str) -> tuple[bytes, str]:
    """Return the line, newline included, and its hash."""
    words = {name: _printable(getattr(fact, name)) for name in fact.__struct_fields__}
    body = msgspec.json.encode({"n": n, "time": time, **words, "prev": prev})
    digest = hashlib.sha256(body).hexdigest()
    return body[:-1] + _MARK + digest.encode() + _END + b"\n", digest


def unseal(line: bytes) -> Record:
    """Read a line and check its own hash. Raises: ChainBroken."""
    head, mark, tail = line.rstrip(b"\n").rpartition(_MARK)
    if not mark or not tail.endswith(_END) or len(line) > LINE_LIMIT:
        raise ChainBroken("no record of the audit")
    digest = hashlib.sha256(head + b"}").hexdigest()
    if tail != digest.encode() + _END:
        raise ChainBroken("its hash does not fit: the record was changed")
    try:
        return msgspec.json.decode(line, type=Record)
    except msgspec.DecodeError as exc:
        raise ChainBroken(f"no record of the audit: {exc}") from exc


def follow(record: Record, before: Record | None) -> None:
    """Check that `record` comes after `before`. Raises: ChainBroken."""
    if before is None:
        if record.n == 1 and record.prev != GENESIS:
            raise ChainBroken("the first record refers to one before it")
        return
    if record.n != before.n + 1:
        raise ChainBroken(f"record {before.n + 1} is missing, {record.n} follows {before.n}")
    if record.prev != before.hash:
        raise ChainBroken(f"it does not refer to record {before.n} as it is now")


def _printable(value: Shown) -> Shown:
    """Strangers choose names and addresses: no line breaks, no control characters, no half surrogates, not too long."""
    if not isinstance(value, str):
        return value if not isinstance(value, int) or -(2**63) <= value < 2**64 else str(value)[:_TEXT_LIMIT]
    text = value[:_TEXT_LIMIT]
    return "".join(c if c.isprintable() else "?" for c in text)
