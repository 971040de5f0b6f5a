"""`meterbridge verify`: every point of a running bridge, from the meter's registers to what each server shows."""

import base64
import contextlib
import importlib.util
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import msgspec

from bridge.app.export import export_site
from bridge.app.faces import Face, number_and_project
from bridge.config.ledger_file import LEDGER_FILE, read_ledger
from bridge.config.load import load_site
from bridge.config.model import FieldDevice, FieldPoint, SiteConfig
from bridge.control.client import ControlClient
from bridge.core.clock import Clock
from bridge.core.point import PointDef
from bridge.core.quality import Quality
from bridge.verify.client import ClientFailed, VerifyClient
from bridge.verify.compare import Held, Shown, Verdict, expected, in_unit, judge, same_as_meter, too_old
from bridge.verify.dnp3 import Dnp3Reader, free_master
from bridge.verify.gateway import GatewayReader, readable
from bridge.verify.iec61850 import Iec61850Reader, only_cid
from bridge.verify.modbus import ModbusReader
from bridge.verify.opcua import OpcUaReader
from bridge.verify.reference import RawBlock, raw_value, registers_of
from bridge.verify.snmp import SnmpReader

# looks at a point that keeps moving before it counts as different
_LOOKS = 5
# and while its registers are of another moment than its value: until the next poll of its line
_PATIENT_LOOKS = 60
# s; a poll in between must not be met every time
_BETWEEN_LOOKS_S = 0.15
# name of the comparison of the point table with the meter's own registers
METER = "meter"


@dataclass(frozen=True, slots=True)
class Row:
    """One point on one protocol. `held`, `shown`: as text, for the reader."""

    point: str
    protocol: str
    verdict: Verdict
    held: str
    shown: str


# counters of a server, by name
Counters = Mapping[str, int]


class Asked(Protocol):
    """The running bridge, by its control socket."""

    def ask(self, do: str, **arguments: Any) -> Any:
        """Return the result of one request. Raises: ControlError."""
        ...


MakeClient = Callable[[Face, Path, Counters], VerifyClient]


def _modbus(face: Face, site: Path, counters: Counters) -> VerifyClient:
    register_list = dict(export_site(site, "modbus-map"))["modbus-registers.csv"]
    return ModbusReader(face.listener.bind, face.listener.port, register_list)


def _snmp(face: Face, site: Path, counters: Counters) -> VerifyClient:
    facts = face.projected.facts
    if not facts.get("community"):
        raise ClientFailed(f"snmp: expected a community in {face.file.path.name} to read with")
    return SnmpReader(face.listener.bind, face.listener.port, str(facts["community"]), str(facts["enterprise_oid"]))


def _opcua(face: Face, site: Path, counters: Counters) -> VerifyClient:
    return OpcUaReader(str(face.projected.facts["url"]))


def _dnp3(face: Face, site: Path, counters: Counters) -> VerifyClient:
    masters = msgspec.to_builtins(face.projected.plan)["masters"]
    address, outstation = free_master(masters, counters)
    ((_, point_list),) = export_site(site, "dnp3-points")
    return Dnp3Reader(face.listener.bind, face.listener.port, address, outstation, point_list)


def _gateway(face: Face, site: Path, counters: Counters) -> VerifyClient:
    unit_list = dict(export_site(site, "gateway-map"))["gateway-units.csv"]
    return GatewayReader(face.listener.bind, face.listener.port, readable(load_site(site).field, unit_list))


def _bacnet(face: Face, site: Path, counters: Counters) -> VerifyClient:
    if importlib.util.find_spec("rusty_bacnet") is None:
        raise ClientFailed("bacnet: needs an extra: pip install 'meterbridge[verify]'")
    # a foreign library of an extra: absent where nobody verifies
    from bridge.verify.bacnet import BacnetReader

    device_id = int(face.projected.facts["device_id"])
    (_, ede), (_, state_texts) = export_site(site, "ede")
    return BacnetReader(face.listener.bind, face.listener.port, device_id, ede, state_texts)


def _iec61850(face: Face, site: Path, counters: Counters) -> VerifyClient:
    plan: Any = face.projected.plan
    if importlib.util.find_spec("iec61850") is None:
        raise ClientFailed("iec61850: needs an extra: pip install 'meterbridge[verify]'")
    if plan.passwords or face.listener.tls is not None:
        raise ClientFailed("iec61850: expected a server without password and TLS to read from")
    if plan.cid_dir:
        cid = only_cid(load_site(site).state_dir / face.name / plan.cid_dir)
    else:
        ((_, text),) = export_site(site, "cid")
        cid = text.encode()
    deadbands = {item.point: item.deadband for meter in plan.meters for item in meter.items if item.deadband}
    return Iec61850Reader(face.listener.bind, face.listener.port, cid, deadbands)


# A client per protocol; a server without one is named in the result, not passed over in silence.
CLIENTS: Mapping[str, MakeClient] = {
    "modbus": _modbus,
    "snmp": _snmp,
    "opcua": _opcua,
    "dnp3": _dnp3,
    "iec61850": _iec61850,
    "gateway": _gateway,
    "bacnet": _bacnet,
}

# why a server is not read
UNREAD: Mapping[str, str] = {
    "ethergate": "it carries the bytes of a line, no points, and would have the line for itself",
    "web": "it shows the point table to who logs in",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a verification will look at."""

    site: Path
    config: SiteConfig
    faces: Sequence[Face]

    @property
    def unread(self) -> dict[str, str]:
        """Enabled servers that are not verified, and why."""
        return {f.name: UNREAD.get(f.name, "no client here reads it") for f in self.faces if f.name not in CLIENTS}


def plan(site: Path, protocols: Sequence[str]) -> Plan:
    """Raises: ConfigErrors."""
    config = load_site(site)
    faces, _ = number_and_project(config, read_ledger(config.directory / LEDGER_FILE))
    return Plan(site, config, [f for f in faces if not protocols or f.name in protocols])


def verify(wanted: Plan, clock: Clock) -> Iterator[Row]:
    """
    Yield a row per point and protocol, device by device: first the point table against the meter's registers, then
    each server against the point table.

    A server that cannot be read is one row, and the others are read all the same.

    Raises: ControlError when no bridge runs there.
    """
    with ControlClient(wanted.config.state_dir) as bridge, contextlib.ExitStack() as ending:
        running = {row["name"]: row["counters"] for row in bridge.ask("status")["servers"]}
        servers = [
            _Server(face, wanted.site, running.get(face.name, {})) for face in wanted.faces if face.name in CLIENTS
        ]
        for server in servers:
            ending.callback(server.close)
        for device in wanted.config.field:
            yield from _meter(device, bridge, clock)
            for server in list(servers):
                try:
                    rows = server.compared(device, bridge)
                except ClientFailed as exc:
                    yield Row("", server.name, Verdict.UNREADABLE, "", str(exc))
                    servers.remove(server)
                else:
                    yield from rows


class _Server:
    """One server and its client, which is made again when its connection has idled away meanwhile."""

    def __init__(self, face: Face, site: Path, counters: Counters) -> None:
        self.name = face.name
        self._make = partial(CLIENTS[face.name], face, site, counters)
        self._served = face.projected.needs.points
        self._client: VerifyClient | None = None

    def compared(self, device: FieldDevice, bridge: Asked) -> list[Row]:
        """Raises: ClientFailed."""
        again = self._client is not None
        try:
            return self._rows(device, bridge)
        except ClientFailed:
            self.close()
            if not again:
                raise
        return self._rows(device, bridge)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _rows(self, device: FieldDevice, bridge: Asked) -> list[Row]:
        client = self._client = self._client or self._make()
        # the gateway shows registers, and not because a mapping says so
        served = client.indexes if isinstance(client, GatewayReader) else self._served
        points = [p.definition for p in device.points if p.definition.index in served]
        return list(compare_server(device.definition.id, points, self.name, client, bridge))


def _meter(device: FieldDevice, bridge: Asked, clock: Clock) -> Iterator[Row]:
    """Compare the point table with the registers it was made of."""
    open_points = [p for p in device.points if p.read is not None and p.read.scale_at is None]
    rows: dict[str, Row] = {}
    for look in range(_PATIENT_LOOKS if open_points else 0):
        blocks, held = _registers(bridge, device.definition.id), _held(bridge, device.definition.id)
        for point in open_points:
            rows[point.definition.id] = _against_registers(point, blocks, held, clock.utc_ns())
        open_points = [p for p in open_points if rows[p.definition.id].verdict is not Verdict.GOOD]
        waiting = any(rows[p.definition.id].verdict is Verdict.WAITING for p in open_points)
        if not open_points or (look + 1 >= _LOOKS and not waiting):
            break
        time.sleep(_BETWEEN_LOOKS_S)
    yield from rows.values()


def _against_registers(point: FieldPoint, blocks: Sequence[RawBlock], held: Mapping[str, Held], now_ns: int) -> Row:
    definition = point.definition
    have = held.get(definition.id)
    assert point.read is not None
    found = registers_of(point.read, blocks, have.source_ns) if have is not None else None
    if have is None or found is None:
        return Row(definition.id, METER, Verdict.MISSING, "", "no registers at hand")
    data, at_ns = found
    want = expected(point, raw_value(point.read, data))
    text = data.hex()
    if have.quality & Quality.NEVER_READ:
        verdict = Verdict.MISSING
    elif have.source_ns != at_ns:
        # newer registers: they say the same, or the point is about to move
        moved = have.quality == Quality.GOOD and not same_as_meter(point, want, have)
        verdict = Verdict.WAITING if moved else Verdict.GOOD
    elif not same_as_meter(point, want, have) and have.quality == Quality.GOOD:
        verdict = Verdict.DIFFERENT
    else:
        verdict = (
            Verdict.TOO_OLD if have.quality == Quality.GOOD and too_old(definition, have, now_ns) else Verdict.GOOD
        )
    return Row(definition.id, METER, verdict, _text(definition, have), text)


def compare_server(
    device: str, points: Sequence[PointDef], name: str, client: VerifyClient, bridge: Asked
) -> Iterator[Row]:
    """Compare what a server shows with the point table just before and just after. Raises: ClientFailed."""
    open_points = list(points)
    rows: dict[str, Row] = {}
    for _ in range(_LOOKS if open_points else 0):
        before = _held(bridge, device)
        shown = client.read(open_points)
        after = _held(bridge, device)
        for definition in open_points:
            rows[definition.id] = _against_table(definition, name, before, shown.get(definition.id), after)
        open_points = [d for d in open_points if rows[d.id].verdict is not Verdict.GOOD]
        if not open_points:
            break
    yield from rows.values()


def _against_table(
    definition: PointDef, name: str, before: Mapping[str, Held], shown: Shown | None, after: Mapping[str, Held]
) -> Row:
    verdicts = [judge(definition, held[definition.id], shown) for held in (before, after)]
    verdict = Verdict.GOOD if Verdict.GOOD in verdicts else verdicts[1]
    if verdict is not Verdict.GOOD and before[definition.id] != after[definition.id]:
        verdict = Verdict.WAITING
    text = "" if shown is None else f"{_plain(shown.value)}{'' if shown.good else ' (bad)'}"
    return Row(definition.id, name, verdict, _text(definition, after[definition.id]), text)


def _held(bridge: Asked, device: str) -> dict[str, Held]:
    rows: Iterable[dict[str, Any]] = bridge.ask("points", device=device)
    return {row["point"]: Held(row["raw"], Quality(row["flags"]), row["source_ns"]) for row in rows}


def _registers(bridge: Asked, device: str) -> list[RawBlock]:
    return [
        RawBlock(row["function"], row["address"], base64.b64decode(row["data"]), row["utc_ns"], row["count"])
        for row in bridge.ask("registers", device=device)
    ]


def _text(definition: PointDef, held: Held) -> str:
    quality = "" if held.quality == Quality.GOOD else f" ({held.quality.name or int(held.quality)})"
    return f"{_plain(in_unit(definition, held))}{quality}"


def _plain(value: Fraction | float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{float(value):.12g}"
