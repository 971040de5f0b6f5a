"""The console of the synthetic site in its real worker, in front of a core that answers from a table."""

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from bridge.config.ledger import Ledger
from bridge.core.clock import SystemClock
from bridge.core.command import Origin
from bridge.core.errors import OperationRefused
from bridge.core.history import PAGE_MOST, HistoryPage, NoHistory
from bridge.core.login import LOCKED, WRONG, Admission, LoginResult
from bridge.core.point import Sample
from bridge.core.ports import Projected, SiteFacts
from bridge.core.rights import Right
from bridge.core.secret import Secret
from bridge.core.store import PointStore
from bridge.projections.web.mapping import Mapping as WebMapping
from bridge.projections.web.mapping import project
from bridge.services.alarms import AlarmService
from bridge.services.events import EventLog
from bridge.workers.requests import Services
from bridge.workers.worker import WorkerSpec
from tests.support.modbus_site import ANALOGS, site, store_of
from tests.support.workers import FakeLines, StoreWriter, running, spare_ports, status

SERVER = "bridge.projections.web.server"
PASSWORD = "a long enough password"


def mapping(port: int = 0, /, **more: object) -> WebMapping:
    listener = {"port": port, "max_clients": 64, **dict(more.pop("listener", {}))}  # type: ignore[call-overload]
    return msgspec.convert({"listener": listener, **more}, WebMapping)


def projected(facts: SiteFacts, port: int = 0, /, **more: object) -> Projected:
    return project(mapping(port, **more), facts, Ledger())


def server(name: str, **more: object) -> dict[str, Any]:
    row = {"name": name, "state": "ready", "answering": True, "address": "127.0.0.1:1", "pid": 1, "starts": 1}
    row |= {"last_end": "", "points_behind": 0, "counters": {"requests": 3}, "floods": 0, "probe_age_s": 1.0}
    return row | more


def device(name: str, **more: object) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "state": "online", "serial_number": "1", "requests": 5, "replies": 5}
    row |= {"timeouts": 0, "crc_errors": 0, "exceptions": {}, "missed": 0, "response_ms": 1.5}
    return row | {"response_max_ms": 2.0, "last_error": "", "last_good_ns": 1_700_000_000_000_000_000} | more


class TableCore:
    """OperationsPort that answers from `answers`; None: it refuses."""

    def __init__(self, facts: SiteFacts) -> None:
        channel = {"name": "riser", "kind": "rtu", "requests": 9, "replies": 8, "timeouts": 1, "bad": 0}
        self.status: dict[str, Any] = {
            "ready": True,
            "polling": True,
            "pid": 1,
            "servers": [server("web"), server("modbus")],
            "channels": [channel | {"stray_bytes": 0, "opened": 1}],
            "devices": [device(found.id) for found in facts.devices],
        }
        event = {"number": 7, "time_ns": 1_700_000_000_000_000_000, "kind": "system", "priority": 32, "index": -1}
        checked = {"faults": ["site.yaml:3:1: site: <b>bold</b>"], "warnings": [], "changes": []}
        self.answers: dict[str, Any] = {
            "status": self.status,
            "site": {"name": facts.name, "location": "", "devices": {}},
            "numbers": {facts.points[0].id: {"modbus.registers": "40001"}},
            "check": checked,
            "exports": {"modbus": ["map"]},
            "export": [{"name": "map.csv", "text": "YQ=="}],
            "frames": [],
            "traffic": [
                {
                    "client": "10.0.0.9",
                    "device": facts.devices[0].id,
                    "channel": "riser",
                    "unit": 1,
                    "function": 3,
                    "address": 100,
                    "count": 2,
                    "requests": 77,
                    "failed": 0,
                    "last_utc_ns": 1_700_000_000_000_000_000,
                }
            ],
            "recorded": {"billed": [], "values": [], "period_s": 900, "timezone": "UTC"},
            "clients": {},
            "setup": [],
            "closings": [],
            "registers": [{"function": 3, "address": 0, "data": "AAEAAg==", "utc_ns": 1_700_000_000_000_000_000}],
            "events": {"last": 7, "events": [event | {"device": "", "text": "started", "user": ""}]},
        }
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        # what `order` answers; None: it refuses
        self.orders: dict[str, Any] = {}
        self.ordered: list[tuple[str, Mapping[str, str], Origin]] = []

    async def ask(self, what: str, arguments: Mapping[str, str]) -> bytes:
        self.asked.append((what, arguments))
        if self.answers.get(what) is None:
            raise OperationRefused(f"nobody knows {what}")
        return msgspec.json.encode(self.answers[what])

    async def order(self, what: str, arguments: Mapping[str, str], origin: Origin) -> bytes:
        self.ordered.append((what, arguments, origin))
        if self.orders.get(what) is None:
            raise OperationRefused("the right `security` is needed")
        return msgspec.json.encode(self.orders[what])


class TableHistory(NoHistory):
    """HistoryPort that has `rows` by index."""

    def __init__(self) -> None:
        self.rows: dict[int, list[Sample]] = {}
        self.asked = 0

    async def samples(self, index: int, after_ns: int, before_ns: int, most: int = PAGE_MOST) -> HistoryPage:
        self.asked += 1
        found = [row for row in self.rows.get(index, []) if after_ns < row.source_ns < before_ns]
        return HistoryPage(samples=found[:most], more=len(found) > most)


class OneUser:
    """Logins of a core that knows one user; `locked`: it lets nobody in."""

    def __init__(self) -> None:
        self.locked = False
        self.rights: tuple[Right, ...] = (Right.READ,)
        self.tries: list[tuple[str, str, str]] = []

    async def login(self, protocol: str, peer: str, user: str, password: Secret) -> LoginResult:
        self.tries.append((protocol, peer, user))
        if self.locked:
            return LOCKED
        if user != "anna" or password.reveal() != PASSWORD:
            return WRONG
        return LoginResult(Admission.ADMITTED, "viewer", self.rights)


@dataclass(slots=True)
class Console:
    """The running worker. `https`: a client that keeps cookies."""

    url: str
    store: PointStore
    facts: SiteFacts
    core: TableCore
    history: TableHistory
    users: OneUser
    https: httpx.AsyncClient
    pid: int
    alarms: AlarmService

    def client(self) -> httpx.AsyncClient:
        """Another browser."""
        return httpx.AsyncClient(base_url=self.url, verify=trusting_anybody(), timeout=10, trust_env=False)


def trusting_anybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@asynccontextmanager
async def console(
    folder: str, meters: int = 2, analogs: Sequence[str] = ANALOGS, **more: object
) -> AsyncIterator[Console]:
    facts = site(meters, analogs)
    store, core, users, port = store_of(facts), TableCore(facts), OneUser(), spare_ports(1)
    history = TableHistory()
    made = projected(facts, port, **more)
    spec = WorkerSpec("web", SERVER, msgspec.msgpack.encode(made.plan), made.needs, folder)
    clock = SystemClock()
    alarms = AlarmService(store, clock, EventLog(clock))
    offered = Services(
        store, StoreWriter(store), FakeLines(), clock, alarms, operations=core, logins=users, history=history
    )
    url = str(made.facts["url"])
    browser = httpx.AsyncClient(base_url=url, verify=trusting_anybody(), timeout=10, trust_env=False)
    async with running(store, [spec], core=offered) as supervisor, browser as https:
        alarms.subscribe(supervisor.alarm_changed)
        yield Console(url, store, facts, core, history, users, https, status(supervisor, "web").pid, alarms)
