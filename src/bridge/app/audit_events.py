"""Records of the audit as events: for the event log, every protocol that shows events, and syslog. Pure."""

from dataclasses import dataclass

from bridge.commands.chain import Record
from bridge.core.event import EventKind

# Priorities in the bands of seed 004: done is information, refused low, locked out medium, damage high
_DONE, _REFUSED, _LOCKED, _DAMAGED = 32, 96, 160, 224
_KINDS = {
    "command": EventKind.COMMAND,
    "select": EventKind.COMMAND,
    "raw": EventKind.COMMAND,
    "login": EventKind.ACCESS,
    "user": EventKind.ACCESS,
    "tls": EventKind.CONFIGURATION,
    "configuration": EventKind.CONFIGURATION,
    "audit": EventKind.SYSTEM,
}
# Characters of the hash that an event repeats: with the number, enough to tell a chain that was rewritten
_HASH = 16


@dataclass(frozen=True, slots=True)
class Told:
    """What the event log is told."""

    kind: EventKind
    priority: int
    text: str
    user: str
    device: str


def told_of(record: Record) -> Told | None:
    """Return what to tell of a record; of a command nothing before its end."""
    if record.result == "started":
        return None
    what = f"{record.kind} {record.target}".strip()
    if record.new is not None:
        what += f" {_word(record.old)} -> {_word(record.new)}" if record.old is not None else f" {_word(record.new)}"
    origin = " ".join(word for word in (record.protocol, record.peer) if word)
    why = f" ({record.reason})" if record.reason else ""
    times = f", {record.repeated} times more" if record.repeated else ""
    text = f"{what}: {record.result}{why}{times}, from {origin or 'the bridge'}, audit {record.n} {record.hash[:_HASH]}"
    device = record.target.partition(".")[0] if record.kind in ("command", "select") and "." in record.target else ""
    return Told(_KINDS.get(record.kind, EventKind.SYSTEM), _priority(record), text, record.user, device)


def _priority(record: Record) -> int:
    if record.kind == "audit":
        return _DAMAGED
    if record.kind == "login" and (record.result == "locked" or record.reason == "locked out now"):
        return _LOCKED
    refused = record.result not in ("done", "admitted") and record.kind in ("command", "select", "raw", "login")
    return _REFUSED if refused or record.result == "refused" else _DONE


def _word(value: object) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)
