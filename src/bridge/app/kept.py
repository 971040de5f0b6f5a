"""What the services keep over a restart: to bytes and back, each kind under its own name."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from bridge.core.alarm import Alarm
from bridge.core.event import Event
from bridge.history.database import Database
from bridge.services.accumulator import IndexState
from bridge.services.demand_service import DemandKept
from bridge.services.min_max import Extreme
from bridge.services.partial import Counted

T = TypeVar("T")
# kinds of table `kept`
INDEX, DEMAND, SETTING, ALARM, READER = "index", "demand", "setting", "alarm", "reader"
EXTREME, IDENTITY, PARTIAL = "extreme", "identity", "partial"


class Kept(msgspec.Struct, frozen=True):
    """All that an earlier process kept."""

    indexes: Mapping[str, IndexState] = {}
    demands: tuple[DemandKept, ...] = ()
    settings: Mapping[str, float] = {}
    extremes: Mapping[str, Extreme] = {}
    partials: Mapping[str, Counted] = {}
    alarms: tuple[Alarm, ...] = ()
    events: tuple[Event, ...] = ()
    read: int = 0
    sent: int = 0
    profile_ns: int = 0
    identities: Mapping[str, str] = {}


def load_kept(database: Database) -> Kept:
    """Return what can be understood; a body of another version of the program is left out."""
    alarms = _decoded(database.kept(ALARM), Alarm)
    readers = _decoded(database.kept(READER), int)
    events = _decoded({str(number): body for number, body in database.events()}, Event)
    return Kept(
        indexes=_decoded(database.kept(INDEX), IndexState),
        demands=tuple(_decoded(database.kept(DEMAND), DemandKept).values()),
        settings=_decoded(database.kept(SETTING), float),
        extremes=_decoded(database.kept(EXTREME), Extreme),
        partials=_decoded(database.kept(PARTIAL), Counted),
        alarms=tuple(sorted(alarms.values(), key=lambda alarm: alarm.id)),
        events=tuple(sorted(events.values(), key=lambda event: event.number)),
        profile_ns=max(database.last_profile().values(), default=0),
        read=readers.get("", 0),
        sent=readers.get("syslog", 0),
        identities=_decoded(database.kept(IDENTITY), str),
    )


def encoded(value: object) -> bytes:
    """Return the body of a value."""
    return msgspec.msgpack.encode(value)


def _decoded(bodies: Mapping[str, bytes], kind: type[T]) -> dict[str, T]:
    decoder = msgspec.msgpack.Decoder(kind)
    found: dict[str, T] = {}
    for id_, body in bodies.items():
        try:
            found[id_] = decoder.decode(body)
        except msgspec.DecodeError:
            continue
    return found
