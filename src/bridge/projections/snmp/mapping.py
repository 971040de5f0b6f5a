"""snmp.yaml -> the plan: which rows and columns show which points, and who may see them."""

import ipaddress

import msgspec

from bridge.core.errors import ProjectionError
from bridge.core.point import Kind, PointDef
from bridge.core.ports import Grant, Needs, Numbers, Projected, SiteFacts, Transport
from bridge.core.quantity import Quantity
from bridge.core.rules import Rules
from bridge.core.units import UNITS
from bridge.projections.snmp.columns import arc_of, column_of
from bridge.projections.snmp.plan import Column, DeviceRow, Oid, Plan, Reader, Row, Target, TrapPlan
from bridge.projections.snmp.settings import Access, Auth, Mapping, Override, Privacy, Receiver, Rule

__all__ = ["Mapping", "Plan", "project"]

# Power of ten of an analog value's Integer32: thousandths reach 2,147,483 of the unit, then coarser
_ANALOG_SCALE = -3
_INTERNET: Oid = (1, 3, 6, 1)
_INTEGER32 = 2**31 - 1


def project(mapping: Mapping, site: SiteFacts, numbers: Numbers) -> Projected:
    """
    Resolve every number. The ledger is asked in the order of the site, so that the first run is reproducible.

    Raises: ProjectionError with the path inside the mapping.
    """
    _known(mapping, site)
    enterprise = _oid(mapping.enterprise_oid)
    if enterprise[:4] != _INTERNET or len(enterprise) < 5:
        raise ProjectionError(("enterprise_oid",), f"expected a number below 1.3.6.1, found {mapping.enterprise_oid}")
    chooser = _Chooser(mapping)
    shown = [point for point in site.points if chooser.shown(point)]
    devices = _devices(mapping, site, shown, numbers)
    columns = _columns(shown)
    rows = _rows(mapping, chooser, shown, {device.id: device.number for device in devices}, columns, numbers)
    readers = _readers(mapping)
    traps = mapping.traps
    plan = Plan(
        listener=mapping.listener,
        enterprise=enterprise,
        description=mapping.system.description,
        contact=mapping.system.contact,
        name=mapping.system.name or site.name,
        location=mapping.system.location,
        devices=devices,
        rows=rows,
        columns=tuple(columns[arc] for arc in sorted(columns)),
        readers=tuple(readers.values()),
        traps=TrapPlan(
            tuple(_target(at, receiver, readers) for at, receiver in enumerate(traps.receivers) if traps.enabled),
            traps.authentication,
            (traps.low, traps.medium, traps.high),
            traps.device_priority,
            traps.authentication_s,
        ),
        engine_id=mapping.engine_id or "",
        max_message=mapping.max_message,
        write_timeout_s=mapping.write_timeout_s,
    )
    grants = Grant.ALARMS | (Grant.COMMANDS if any(row.writable for row in rows) else Grant.NOTHING)
    if plan.traps.targets:
        grants |= Grant.EVENTS
    return Projected(
        plan,
        Needs(frozenset(row.index for row in rows), grants),
        (mapping.listener,),
        Transport.UDP,
        {"community": _first_community(mapping), "enterprise_oid": mapping.enterprise_oid},
        tries=_tries(mapping),
    )


def _known(mapping: Mapping, site: SiteFacts) -> None:
    points, devices = {point.id for point in site.points}, {device.id for device in site.devices}
    for point_id in mapping.overrides:
        if point_id not in points:
            raise ProjectionError(("overrides", point_id), "expected a point of the site")
    for device in mapping.devices:
        if device not in devices:
            raise ProjectionError(("devices", device), "expected a device of the site")


class _Chooser:
    """What rule and override decide for a point."""

    def __init__(self, mapping: Mapping) -> None:
        self._mapping, self._rules = mapping, Rules(mapping.rules)

    def shown(self, point: PointDef) -> bool:
        override, rule = self._chosen(point)
        return not (rule.skip if override.skip is None else override.skip)

    def writable(self, point: PointDef) -> bool:
        override, rule = self._chosen(point)
        access = override.access or rule.access or self._mapping.access
        return access is Access.READ_WRITE and point.writable and not point.mid

    def _chosen(self, point: PointDef) -> tuple[Override, Rule]:
        return self._mapping.overrides.get(point.id, Override()), self._rules.find(point.id) or Rule(match="*")


def _devices(mapping: Mapping, site: SiteFacts, shown: list[PointDef], numbers: Numbers) -> tuple[DeviceRow, ...]:
    stated = {
        (point.device, point.meaning.quantity): point.index
        for point in shown
        if point.kind is Kind.TEXT or point.meaning.quantity is Quantity.COMMUNICATION_STATUS
    }
    ordered = sorted(site.devices, key=lambda device: device.id not in mapping.devices)
    taken: dict[str, int] = {}
    for device in ordered:
        try:
            taken[device.id] = numbers.take("snmp.devices", device.id, pin=mapping.devices.get(device.id))
        except ValueError as exc:
            raise ProjectionError(("devices", device.id), str(exc)) from exc
    return tuple(
        DeviceRow(
            taken[device.id],
            device.id,
            stated.get((device.id, Quantity.SERIAL_NUMBER), -1),
            stated.get((device.id, Quantity.FIRMWARE_VERSION), -1),
            stated.get((device.id, Quantity.COMMUNICATION_STATUS), -1),
        )
        for device in site.devices
    )


def _columns(shown: list[PointDef]) -> dict[int, Column]:
    """Columns by sub-identifier. The first point decides on the shape; one of another kind has no typed column."""
    alike: dict[int, list[PointDef]] = {}
    for point in shown:
        alike.setdefault(arc_of(point.meaning), []).append(point)
    columns: dict[int, Column] = {}
    for arc, points in alike.items():
        column = column_of(points[0], [point for point in points if _same_shape(point, points[0])])
        if column is not None:
            columns[arc] = column
    return columns


def _same_shape(point: PointDef, other: PointDef) -> bool:
    return point.kind is other.kind and UNITS[point.unit].dimension is UNITS[other.unit].dimension


def _rows(
    mapping: Mapping,
    chooser: _Chooser,
    shown: list[PointDef],
    devices: dict[str, int],
    columns: dict[int, Column],
    numbers: Numbers,
) -> tuple[Row, ...]:
    first: dict[int, PointDef] = {}
    taken: set[tuple[str, int, int]] = set()
    rows: dict[str, Row] = {}
    for point in sorted(shown, key=lambda p: mapping.overrides.get(p.id, Override()).number is None):
        pin = mapping.overrides.get(point.id, Override()).number
        try:
            number = numbers.take(f"snmp.{point.device}.points", point.name, pin=pin)
        except ValueError as exc:
            raise ProjectionError(("overrides", point.id, "number"), str(exc)) from exc
        rows[point.id] = Row(point.index, devices[point.device], number, scale_of(point), 0, 0, chooser.writable(point))
    for point in shown:
        arc = arc_of(point.meaning)
        place = (point.device, point.meaning.circuit, arc)
        if arc in columns and place not in taken and _same_shape(point, first.setdefault(arc, point)):
            taken.add(place)
            rows[point.id] = msgspec.structs.replace(rows[point.id], circuit=place[1], column=arc)
    return tuple(rows[point.id] for point in shown)


def scale_of(point: PointDef) -> int:
    """Return the power of ten in which Integer32 shows the point without reaching its end."""
    if point.kind is Kind.ACCUMULATOR:
        return point.resolution
    if point.kind is not Kind.ANALOG:
        return 0
    largest = max(abs(limit) for limit in (point.low or 0.0, point.high or 0.0))
    scale = _ANALOG_SCALE
    while largest * 10.0**-scale > _INTEGER32:
        scale += 1
    return scale


def _oid(text: str) -> Oid:
    return tuple(int(part) for part in text.split("."))


def _readers(mapping: Mapping) -> dict[tuple[str, str], Reader]:
    """Communities and users, by ("communities" or "users", name)."""
    made: dict[tuple[str, str], Reader] = {}
    secrets: dict[str, str] = {}
    for name, community in mapping.communities.items():
        other = secrets.setdefault(community.community, name)
        if other != name:
            raise ProjectionError(("communities", name, "community"), f"expected another than that of {other}")
        for at, network in enumerate(community.networks):
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError as exc:
                raise ProjectionError(("communities", name, "networks", at), str(exc)) from exc
        made["communities", name] = Reader(
            name,
            community.community,
            community.access is Access.READ_WRITE,
            tuple(map(_oid, community.include)),
            tuple(map(_oid, community.exclude)),
            community.networks,
        )
    for name, user in mapping.users.items():
        private = user.privacy_password is not None
        if private and user.privacy is Privacy.AES256 and user.auth is Auth.SHA1:
            raise ProjectionError(("users", name, "auth"), "expected sha256 or longer with aes256, found sha1")
        made["users", name] = Reader(
            name,
            user.auth_password,
            user.access is Access.READ_WRITE,
            tuple(map(_oid, user.include)),
            tuple(map(_oid, user.exclude)),
            (),
            user.auth,
            user.privacy if private else None,
            user.privacy_password or "",
        )
    return made


def _target(at: int, receiver: Receiver, readers: dict[tuple[str, str], Reader]) -> Target:
    path = ("traps", "receivers", at)
    if bool(receiver.community) == bool(receiver.user):
        raise ProjectionError(path, "expected either community or user")
    kind, name = ("communities", receiver.community) if receiver.community else ("users", receiver.user)
    try:
        ipaddress.ip_address(receiver.host)
    except ValueError as exc:
        raise ProjectionError((*path, "host"), f"expected an IP address, found {receiver.host}") from exc
    reader = readers.get((kind, name))
    if reader is None:
        raise ProjectionError(path, f"expected a key of {kind}, found {name}")
    return Target(
        receiver.host,
        receiver.port,
        reader,
        receiver.form,
        receiver.buffer,
        receiver.hold_s,
        receiver.timeout_s,
        receiver.retries,
    )


def _first_community(mapping: Mapping) -> str:
    """Return the community a client of the demo uses."""
    return next((c.community for c in mapping.communities.values()), "")


def _tries(mapping: Mapping) -> tuple[str, ...]:
    """The tables of meters and of measurements by number: names need standard MIBs that a station may not have."""
    community, objects = _first_community(mapping), f"{mapping.enterprise_oid}.1"
    if not community:
        return ()
    return tuple(f"snmpwalk -v2c -c {community} {{host}}:{{port}} {objects}.{table}" for table in (2, 4))
