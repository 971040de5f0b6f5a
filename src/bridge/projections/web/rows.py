"""What the API answers and the pages show: one struct per thing, the source of the OpenAPI document as well."""

from typing import Any

import msgspec


class ServerRow(msgspec.Struct, frozen=True):
    """`probe_age_s`: since it last answered its own question; null when it never did."""

    name: str
    state: str
    answering: bool
    address: str
    pid: int
    starts: int
    last_end: str
    points_behind: int
    counters: dict[str, int]
    floods: int = 0
    ready_after_s: float = 0.0
    probe_age_s: float | None = None


class ChannelRow(msgspec.Struct, frozen=True):
    """Counters since start."""

    name: str
    kind: str
    requests: int
    replies: int
    timeouts: int
    bad: int
    stray_bytes: int
    opened: int


class TrafficRow(msgspec.Struct, frozen=True):
    """One question of one client of the gateway. `address`: -1 where the function has none."""

    client: str
    device: str
    channel: str
    unit: int
    function: int
    address: int
    count: int
    requests: int
    failed: int
    last_utc_ns: int


class DeviceState(msgspec.Struct, frozen=True):
    """What the core counts of a device; times in milliseconds."""

    name: str
    state: str
    serial_number: str
    requests: int
    replies: int
    timeouts: int
    crc_errors: int
    exceptions: dict[str, int]
    missed: int
    response_ms: float
    response_max_ms: float
    last_error: str
    last_good_ns: int


class StatusAnswer(msgspec.Struct, frozen=True):
    ready: bool
    polling: bool
    pid: int
    servers: list[ServerRow]
    channels: list[ChannelRow]
    devices: list[DeviceState]


class SiteAnswer(msgspec.Struct, frozen=True):
    name: str
    location: str
    devices: dict[str, str]


class EventRow(msgspec.Struct, frozen=True):
    """`index`: of the point in this run of the bridge, -1 for none. `time_ns`: UTC."""

    number: int
    time_ns: int
    kind: str
    priority: int
    device: str
    index: int
    text: str
    user: str


class EventsAnswer(msgspec.Struct, frozen=True):
    last: int
    events: list[EventRow]


class Checked(msgspec.Struct, frozen=True):
    """What a check of the site's files found."""

    faults: list[str]
    warnings: list[str]
    changes: list[str] = []
    devices: int = 0
    points: int = 0
    servers: list[str] = []


class Site(msgspec.Struct, frozen=True):
    """`ready`: every server answers. `polling`: the meters are being asked."""

    name: str
    location: str
    version: str
    time_ns: int
    ready: bool
    polling: bool
    devices: int
    points: int
    servers: list[str]


class Device(msgspec.Struct, frozen=True):
    """`usable`: points of `points` that have a usable value. `state`: null for what is no meter of its own."""

    id: str
    label: str
    vendor: str
    model: str
    meter: str
    channel: str
    unit_id: int
    mid: bool
    labels: dict[str, str]
    usable: int
    points: int
    state: DeviceState | None


class Point(msgspec.Struct, frozen=True):
    """
    `value`: number, text, true or false; an accumulator as exact decimal text. `quality`: flags, ["good"] for none.
    `source_ns`: UTC time of the reply that carried it, 0 for none.
    """

    id: str
    device: str
    label: str
    kind: str
    unit: str
    value: float | int | str | bool | None
    quality: list[str]
    usable: bool
    source_ns: int
    age_s: float | None
    writable: bool
    mid: bool


class PointPage(msgspec.Struct, frozen=True):
    """`total`: how many there are; `next`: offset of the next page, null at the end."""

    total: int
    next: int | None
    points: list[Point]


class PointDetail(msgspec.Struct, frozen=True):
    """`numbers`: public numbers by space of the numbering ledger. `states`: code and text."""

    point: Point
    states: dict[str, str]
    numbers: dict[str, str]


class AlarmRow(msgspec.Struct, frozen=True):
    """
    `end_ns`: 0 while it lasts, `duration_s`: null then. `before`, `extreme`: furthest value while it was pending and
    while it was active. `acknowledged_ns`: 0 until somebody did.
    """

    id: int
    name: str
    label: str
    device: str
    point: str
    priority: int
    band: str
    active: bool
    start_ns: int
    end_ns: int
    duration_s: float | None
    limit: float | None
    before: float | None
    extreme: float | None
    acknowledged_ns: int
    acknowledged_by: str


class Recorded(msgspec.Struct, frozen=True):
    """Which points have a past. `billed`: with a load profile of every `period_s`; days begin in `timezone`."""

    billed: list[str]
    values: list[str]
    period_s: int
    timezone: str


class Closing(msgspec.Struct, frozen=True):
    """
    The reading that closes a day (2026-01-31) or a month (2026-01): the first one after it. `reading`: exact decimal
    text. Readings of two epochs have no difference; `epoch_now` is that of the index as it stands.
    """

    point: str
    period: str
    reading: str
    unit: str
    epoch: int
    epoch_now: int
    serial_number: str
    read_ns: int
    quality: int


class HistoryRow(msgspec.Struct, frozen=True):
    """`value`: an index as exact decimal text; null where an outage began. `epoch`: of an index, else 0."""

    time_ns: int
    value: float | int | str | bool | None
    quality: list[str]
    epoch: int


class HistoryAnswer(msgspec.Struct, frozen=True):
    """`next`: the time to ask on from, null at the end."""

    point: str
    unit: str
    rows: list[HistoryRow]
    next: int | None


class ClientRow(msgspec.Struct, frozen=True):
    """One address at one listener. `connections`: open now. `messages`: whole ones since `known_s`."""

    address: str
    port: int
    connections: int
    messages: int
    known_s: float
    quiet_s: float


class ServerClients(msgspec.Struct, frozen=True):
    """`delay_ms`, `delay_most_ms`: from a meter's reply to this server, middle and greatest lately; -1 for none yet."""

    clients: list[ClientRow]
    delay_ms: float
    delay_most_ms: float


class Finding(msgspec.Struct, frozen=True):
    """One thing to see to. `level`: fault, warning or note. `code`: what; `subject`: of what."""

    level: str
    code: str
    subject: str
    detail: str = ""


class UserRow(msgspec.Struct, frozen=True):
    name: str
    role: str
    locked: bool


class UsersAnswer(msgspec.Struct, frozen=True):
    users: list[UserRow]
    roles: list[str]


class Reloaded(msgspec.Struct, frozen=True):
    """`faults`: why everything stayed as it was. `confirm`: what must be confirmed first."""

    faults: list[str]
    confirm: list[str]
    points: int
    servers: int


class Fault(msgspec.Struct, frozen=True):
    """Every answer that is no success."""

    error: str


class Health(msgspec.Struct, frozen=True):
    """`problems`: what is not well, a sentence each; `degraded`: meters that do not answer."""

    ok: bool
    problems: list[str]
    degraded: list[str]
    servers: dict[str, bool]


def schema_of(kinds: tuple[Any, ...], template: str) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    """Return JSON schemas of `kinds` and the components they refer to."""
    return msgspec.json.schema_components(kinds, ref_template=template)
