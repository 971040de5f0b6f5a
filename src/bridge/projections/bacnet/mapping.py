"""bacnet.yaml -> the plan: which object shows which point, under which number and name."""

import hashlib
import ipaddress
from collections.abc import Iterator

import msgspec

from bridge.core.errors import ProjectionError
from bridge.core.point import DeviceDef, PointDef
from bridge.core.ports import Grant, Needs, Numbers, Projected, SiteFacts, Transport
from bridge.projections.bacnet.plan import (
    MAX_DEVICE_NAME,
    MAX_INSTANCE,
    AlarmRecipient,
    CovSettings,
    Identity,
    Layout,
    Mode,
    Network,
    ObjectType,
    Plan,
    Shape,
    Trend,
    View,
    pack,
)
from bridge.projections.bacnet.settings import Mapping, Override
from bridge.projections.bacnet.shapes import Shaper, bears_alarms, reporting

__all__ = ["Mapping", "Plan", "project"]
_EVERYWHERE = "0.0.0.0"
# What a Buffer_Size of a Trend Log can say.
MOST_RECORDS = 2**32 - 1
# Every series of numbers that the object lists are made of; instances are unique over the site in both layouts.
_SPACES = [f"bacnet.{t.word}" for t in ObjectType] + [
    "bacnet.structured-view",
    "bacnet.trend-log",
    "bacnet.device",
    "bacnet.name",
]
# The library's own shell; it needs an address that is not the server's.
_TRY = "echo 'read {host}:{port} device,%d object-name' | python -m bacpypes3 --address {host}:47999"


def project(mapping: Mapping, site: SiteFacts, numbers: Numbers) -> Projected:
    """
    Resolve every object. The ledger is asked in the order of the site, pins first, so that a first run is reproducible.

    Raises: ProjectionError with the path inside the mapping.
    """
    _known(mapping, site)
    shaper = Shaper(mapping)
    shown = [(point, shape) for point in site.points if (shape := shaper.shape(point)) is not None]
    by_device: dict[str, list[tuple[PointDef, Shape]]] = {device.id: [] for device in site.devices}
    for point, shape in shown:
        by_device.setdefault(point.device, []).append((point, shape))
    instance = mapping.device_id if mapping.device_id is not None else device_id_of(site.name)
    rows = _Rows(mapping, numbers)
    rows.pins(shown)
    bearers = {device: _with_events(site, device, members) for device, members in by_device.items()}
    views = _views(mapping, site, by_device, rows, numbers, instance, bearers)
    trends = tuple(_trends(site, shaper, rows, numbers))
    network = _network(mapping)
    plan = Plan(
        listener=mapping.listener,
        identity=Identity(
            instance=instance,
            name=mapping.name or f"{site.name[: MAX_DEVICE_NAME - 8]}-{instance}",
            description=mapping.description,
            location=mapping.location,
            vendor_id=mapping.vendor_id,
            vendor=mapping.vendor,
            model=mapping.model,
            revision=1 + sum(numbers.revision(space) for space in _SPACES),
        ),
        network=network,
        cov=CovSettings(**{name: getattr(mapping.cov, name) for name in CovSettings.__struct_fields__}),
        layout=mapping.layout,
        shapes=tuple(rows.shapes),
        views=tuple(views),
        indexes=pack(rows.indexes),
        object_ids=pack(rows.object_ids),
        shape_of=pack(rows.shape_of),
        names=rows.names,
        trends=trends,
        recipients=tuple(_recipients(mapping)),
        password=mapping.password,
        write_timeout_s=mapping.write_timeout_s,
    )
    grants = Grant.ALARMS | (Grant.HISTORY if trends else Grant.NOTHING)
    if mapping.alarms.acknowledge or any(shape.writable for shape in rows.shapes):
        grants |= Grant.COMMANDS
    return Projected(
        plan,
        Needs(frozenset(rows.indexes), grants),
        (mapping.listener,),
        Transport.UDP,
        {"device_id": instance},
        (_TRY % instance,),
    )


def device_id_of(site_name: str) -> int:
    """Return a device id that is always the same for a site and seldom that of another (B-05)."""
    digest = hashlib.sha256(site_name.encode()).digest()
    return 1 + int.from_bytes(digest[:8], "big") % MAX_INSTANCE


class _Rows:
    """The columns of the plan as they grow, and the ledger behind them."""

    def __init__(self, mapping: Mapping, numbers: Numbers) -> None:
        self._mapping, self._numbers = mapping, numbers
        self._number_of: dict[Shape, int] = {}
        self._taken: dict[str, str] = {}
        self.shapes: list[Shape] = []
        self.indexes: list[int] = []
        self.object_ids: list[int] = []
        self.shape_of: list[int] = []
        self.names: dict[int, str] = {}

    def pins(self, shown: list[tuple[PointDef, Shape]]) -> None:
        """The ledger takes no number back: those the user wants come before those it chooses."""
        for point, shape in shown:
            override = self._mapping.overrides.get(point.id)
            if override is not None and override.instance is not None:
                self._take(point, shape, override)

    def add(self, point: PointDef, shape: Shape) -> None:
        override = self._mapping.overrides.get(point.id, Override())
        name = override.name or point.id
        owner = self._taken.setdefault(name, point.id)
        if owner != point.id:
            raise ProjectionError(("overrides", point.id, "name"), f"expected a name of its own, found that of {owner}")
        if override.name is not None:
            self.names[len(self.indexes)] = name
            # a changed name moves Database_Revision as a changed number does (clause 12.11.23)
            digest = hashlib.sha256(name.encode()).hexdigest()[:8]
            self._numbers.take("bacnet.name", f"{point.id}:{digest}")
        number = self._number_of.setdefault(shape, len(self.shapes))
        if number == len(self.shapes):
            self.shapes.append(shape)
        self.indexes.append(point.index)
        self.object_ids.append(shape.object_type << 22 | self._take(point, shape, override))
        self.shape_of.append(number)

    def _take(self, point: PointDef, shape: Shape, override: Override) -> int:
        try:
            number = self._numbers.take(f"bacnet.{shape.object_type.word}", point.id, pin=override.instance)
        except ValueError as exc:
            raise ProjectionError(("overrides", point.id, "instance"), str(exc)) from exc
        if number > MAX_INSTANCE:
            raise ProjectionError(("overrides", point.id), f"expected an instance up to {MAX_INSTANCE}, found {number}")
        return number


def _views(
    mapping: Mapping,
    site: SiteFacts,
    by_device: dict[str, list[tuple[PointDef, Shape]]],
    rows: _Rows,
    numbers: Numbers,
    instance: int,
    bearers: dict[str, int],
) -> list[View]:
    virtual = mapping.layout is Layout.DEVICE_PER_METER
    space, first = ("bacnet.device", instance + 1) if virtual else ("bacnet.structured-view", 1)
    known = {device.id: device for device in site.devices}
    for device, pin in mapping.views.items():
        _number(numbers, space, device, first, pin)
    views: list[View] = []
    for device, members in by_device.items():
        if not members:
            continue
        start = len(rows.indexes)
        for point, shape in members:
            rows.add(point, shape)
        number = _number(numbers, space, device, first, mapping.views.get(device))
        if virtual and number == instance:
            raise ProjectionError(("views", device), f"expected a device id of its own, found {number}")
        views.append(
            View(
                device=device,
                description=_describe(known[device]) if device in known else "",
                instance=number,
                first=start,
                count=len(members),
                bearer=start + bearers[device],
                # 1 is the router
                mac=numbers.take("bacnet.mac", device, first=2) if virtual else 0,
            )
        )
    return views


def _with_events(site: SiteFacts, device: str, members: list[tuple[PointDef, Shape]]) -> int:
    """Give the shapes of a meter their intrinsic reporting; return which point shows alarms of the whole meter."""
    if not members:
        return 0
    bearer = min(range(len(members)), key=lambda n: (bears_alarms(members[n][1], members[n][0].name), n))
    silence = site.lossy.get(device)
    for n, (point, shape) in enumerate(members):
        event = reporting(shape, site.watched.get(point.index), silence if n == bearer else None)
        if event is not None:
            members[n] = point, msgspec.structs.replace(shape, event=event)
    return bearer


def _trends(site: SiteFacts, shaper: Shaper, rows: _Rows, numbers: Numbers) -> Iterator[Trend]:
    """A Trend Log for every point the bridge keeps records of, unless a rule says no."""
    if not site.recorded:
        return
    known = {point.index: point.id for point in site.points}
    for position, index in enumerate(rows.indexes):
        recorded = site.recorded.get(index)
        if recorded is None or not shaper.has_trend(known[index]):
            continue
        number = _number(numbers, "bacnet.trend-log", known[index], 1, None)
        size = recorded.rows or MOST_RECORDS
        yield Trend(position, number, round(recorded.every_s * 100), min(size, MOST_RECORDS))


def _number(numbers: Numbers, space: str, device: str, first: int, pin: int | None) -> int:
    try:
        number = numbers.take(space, device, first=first, pin=pin)
    except ValueError as exc:
        raise ProjectionError(("views", device), str(exc)) from exc
    if number > MAX_INSTANCE:
        raise ProjectionError(("views", device), f"expected an instance up to {MAX_INSTANCE}, found {number}")
    return number


def _describe(device: DeviceDef) -> str:
    labels = ", ".join(f"{key} {value}" for key, value in device.labels.items() if key != "label")
    said = f"{device.labels['label']}: " if "label" in device.labels else ""
    return f"{said}{device.vendor} {device.model}" + (f" ({labels})" if labels else "")


def _recipients(mapping: Mapping) -> Iterator[AlarmRecipient]:
    for at, recipient in enumerate(mapping.alarms.recipients):
        host, _, port = recipient.address.partition(":")
        try:
            ipaddress.IPv4Address(host)
        except ValueError as exc:
            raise ProjectionError(
                ("alarms", "recipients", at, "address"), f"expected an IPv4 address, found {host}"
            ) from exc
        classes = tuple(importance.value for importance in recipient.classes)
        yield AlarmRecipient(host, int(port or 47_808), recipient.process, recipient.confirmed, classes)


def _network(mapping: Mapping) -> Network:
    """Raises: ProjectionError for an address that is none, and for modes that lack what they need."""
    wanted, bind = mapping.network, mapping.listener.bind
    try:
        address = ipaddress.IPv4Interface(f"{bind}/{wanted.prefix}")
    except ValueError as exc:
        raise ProjectionError(("listener", "bind"), f"expected an IPv4 address, found {bind}") from exc
    if wanted.mode is Mode.FOREIGN and not wanted.bbmd:
        raise ProjectionError(("network", "bbmd"), "expected the address of a BBMD, for mode foreign")
    for at, peer in (("bbmd", wanted.bbmd), *((f"peers {n}", p.partition(":")[0]) for n, p in enumerate(wanted.peers))):
        try:
            ipaddress.IPv4Address(peer or _EVERYWHERE)
        except ValueError as exc:
            raise ProjectionError(("network", *at.split()), f"expected an IPv4 address, found {peer}") from exc
    if mapping.layout is Layout.DEVICE_PER_METER and (
        not wanted.number or not wanted.virtual_number or wanted.number == wanted.virtual_number
    ):
        raise ProjectionError(
            ("network",), "expected two different network numbers, number and virtual_number, for device-per-meter"
        )
    if address.ip.is_loopback or wanted.mode is Mode.FOREIGN or wanted.prefix == 32:
        broadcast = ""
    elif bind == _EVERYWHERE:
        broadcast = "255.255.255.255"
    else:
        broadcast = str(address.network.broadcast_address)
    return Network(
        mode=wanted.mode,
        prefix=wanted.prefix,
        broadcast=broadcast,
        bbmd=wanted.bbmd,
        bbmd_port=wanted.bbmd_port or 47_808,
        ttl_s=wanted.ttl_s,
        peers=wanted.peers,
        most_foreign=wanted.most_foreign,
        number=wanted.number,
        virtual_number=wanted.virtual_number,
    )


def _known(mapping: Mapping, site: SiteFacts) -> None:
    points, devices = {point.id for point in site.points}, {device.id for device in site.devices}
    for point_id in mapping.overrides:
        if point_id not in points:
            raise ProjectionError(("overrides", point_id), "expected a point of the site")
    for device in mapping.views:
        if device not in devices:
            raise ProjectionError(("views", device), "expected a device of the site")
