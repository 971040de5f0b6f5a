"""Records of the audit as events: for the event log, every protocol that shows events, and syslog. Pure."""

from dataclasses import dataclass

from bridge.commands.chain import Record
from bridge.config.alarm_keys import EventsKey
from bridge.core.event import EventKind
from bridge.services.alarm_rules import priority_of

# Priorities in the bands of seed 004: done is information, refused low, damage high
_DONE, _REFUSED, _DAMAGED = 32, 96, 224
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
class AccessPriorities:
    """Of a login that succeeds, one that does not, and the one that locks out (A-14); each is a setting."""

    login: int = 0
    refused: int = 128
    lockout: int = 255


@dataclass(frozen=True, slots=True)
class Told:
    """What the event log is told."""

    kind: EventKind
    priority: int
    text: str
    user: str
    device: str


def access_priorities(key: EventsKey) -> AccessPriorities:
    """Return what a site says."""
    return AccessPriorities(priority_of(key.login), priority_of(key.login_refused), priority_of(key.lockout))


def told_of(record: Record, access: AccessPriorities) -> Told | None:
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
    return Told(_KINDS.get(record.kind, EventKind.SYSTEM), _priority(record, access), text, record.user, device)


def _priority(record: Record, access: AccessPriorities) -> int:
    if record.kind == "audit":
        return _DAMAGED
    if record.kind == "login":
        if record.result == "locked" or record.reason == "locked out now":
            return access.lockout
        return access.login if record.result == "admitted" else access.refused
    refused = record.result != "done" and record.kind in ("command", "select", "raw")
    return _REFUSED if refused or record.result == "refused" else _DONE


def _word(value: object) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)
