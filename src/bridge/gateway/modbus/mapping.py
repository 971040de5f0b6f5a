"""gateway.yaml -> the plan: which unit id leads to which device, through which listener."""

import ipaddress
from collections.abc import Iterable

import msgspec

from bridge.core.errors import ProjectionError
from bridge.core.listener import Listener
from bridge.core.point import DeviceDef
from bridge.core.ports import Grant, Needs, Numbers, Projected, SiteFacts
from bridge.gateway.modbus.plan import (
    BROADCAST_UNIT,
    ONLY_DEVICE_UNIT,
    UNDER_WAY_MOST,
    Door,
    Framing,
    Plan,
    PlannedRule,
    Route,
    Spans,
)
from bridge.gateway.modbus.settings import Mapping, RouteRule, Rule, Span

__all__ = ["Mapping", "Plan", "project"]

# requests one line is given at once: one is on the line, one follows without a pause, the others keep the order fair
_IN_FLIGHT = 4
_SERIAL = frozenset({"rtu", "rtu-over-tcp"})
_LAST_UNIT = 248


def project(mapping: Mapping, site: SiteFacts, numbers: Numbers) -> Projected:
    """Resolve names and unit ids. Raises: ProjectionError with the path inside the mapping."""
    _check(mapping, site)
    shared = mapping.channels or tuple(name for name, facts in site.channels.items() if not facts.gateway_port)
    routes = _routes(mapping, site, shared)
    only = _only_device(site, shared)
    doors = [_door(mapping.listener, Framing.MBAP, routes, site, shared, only)]
    if mapping.rtu_over_tcp is not None:
        doors.append(_door(mapping.rtu_over_tcp, Framing.RTU, routes, site, shared, only))
    if mapping.secure is not None:
        secure = _door(mapping.secure, Framing.MBAP, routes, site, shared, only)
        doors.append(msgspec.structs.replace(secure, needs_role=True))
    doors += [
        _line_door(mapping, site, name, facts.gateway_port)
        for name, facts in site.channels.items()
        if facts.gateway_port
    ]
    reached = {route.channel for door in doors for route in door.routes.values()}
    plan = Plan(
        doors=tuple(doors),
        policy=tuple(_rule(rule, number, site) for number, rule in enumerate(mapping.policy)),
        roles=mapping.roles,
        cache_ms=mapping.cache_ms,
        patience_s=mapping.patience_s,
        hold_off_s=mapping.hold_off_s,
        in_flight=max(1, min(_IN_FLIGHT, UNDER_WAY_MOST // max(1, len(reached)))),
        site=site.name,
    )
    first = next(iter(routes), 1)
    tries = ("mbpoll -m tcp -p {port} -a 255 -t 4:hex -0 -r 0 -c 24 -1 {host}",)
    facts = {"unit": first} if routes else {}
    needs = Needs(frozenset(), Grant.RAW_LINES)
    return Projected(plan, needs, tuple(door.listener for door in doors), facts=facts, tries=tries)


def _check(mapping: Mapping, site: SiteFacts) -> None:
    for at, name in enumerate(mapping.channels):
        if name not in site.channels:
            raise ProjectionError(("channels", at), f"expected a channel of the site that is not off, found {name}")
    low, high = mapping.hold_off_s
    if low > high:
        raise ProjectionError(("hold_off_s",), f"expected the shorter time first, found {low:g} and {high:g}")
    secure = mapping.secure
    if secure is not None and (secure.tls is None or not secure.tls.client_ca):
        raise ProjectionError(("secure",), "expected tls with certificate, key and client_ca")
    if mapping.roles and secure is None:
        raise ProjectionError(("roles",), "expected the listener `secure`, for only its clients have roles")


def _routes(mapping: Mapping, site: SiteFacts, shared: Iterable[str]) -> dict[int, Route]:
    devices = {device.id: device for device in site.devices if device.channel in site.channels}
    routes: dict[int, Route] = {}
    for at, rule in enumerate(mapping.routes):
        if rule.unit in routes:
            raise ProjectionError(("routes", at, "unit"), f"expected a unit id used once, found {rule.unit} again")
        routes[rule.unit] = _route(rule, at, devices, site)
    named = {rule.device for rule in mapping.routes}
    owners: dict[int, str] = {}
    for device in devices.values():
        if device.id in named or device.channel not in shared or device.unit_id >= ONLY_DEVICE_UNIT:
            continue
        other = owners.setdefault(device.unit_id, device.id)
        if device.unit_id in routes:
            whose = f"{other}" if other != device.id else "a route of its own"
            text = f"expected another number for {device.id}, whose unit id {device.unit_id} leads to {whose} already"
            raise ProjectionError(("routes",), text)
        routes[device.unit_id] = Route(device.channel, device.unit_id)
    return routes


def _route(rule: RouteRule, at: int, devices: dict[str, DeviceDef], site: SiteFacts) -> Route:
    timeout_s = rule.timeout_s or 0.0
    if rule.device:
        if rule.channel or rule.device_unit is not None:
            raise ProjectionError(("routes", at), "expected a device, or a channel with device_unit, not both")
        device = devices.get(rule.device)
        if device is None:
            raise ProjectionError(("routes", at, "device"), f"expected a device of the site, found {rule.device}")
        return Route(device.channel, device.unit_id, timeout_s)
    if rule.channel not in site.channels:
        found = rule.channel or "none"
        raise ProjectionError(
            ("routes", at, "channel"), f"expected a channel of the site that is not off, found {found}"
        )
    return Route(rule.channel, rule.device_unit or rule.unit, timeout_s)


def _only_device(site: SiteFacts, shared: Iterable[str]) -> Route | None:
    """Return the way to the one device behind a door; None when there are more, or none."""
    found = [device for device in site.devices if device.channel in shared]
    return Route(found[0].channel, found[0].unit_id) if len(found) == 1 else None


def _door(
    listener: Listener,
    framing: Framing,
    routes: dict[int, Route],
    site: SiteFacts,
    shared: Iterable[str],
    only: Route | None,
) -> Door:
    serial = tuple(name for name in shared if site.channels[name].kind in _SERIAL)
    return Door(listener, framing, routes, serial, only)


def _line_door(mapping: Mapping, site: SiteFacts, channel: str, port: int) -> Door:
    """Return the door of one line: every unit id leads to it, polled or not."""
    listener = msgspec.structs.replace(mapping.listener, port=port)
    units = {unit: Route(channel, unit) for unit in range(1, ONLY_DEVICE_UNIT)}
    return _door(listener, Framing.MBAP, units, site, (channel,), _only_device(site, (channel,)))


def _rule(rule: Rule, number: int, site: SiteFacts) -> PlannedRule:
    at = ("policy", number)
    devices = {device.id: device for device in site.devices}
    for name in rule.devices:
        if name not in devices:
            raise ProjectionError((*at, "devices"), f"expected a device of the site, found {name}")
    for name in rule.channels:
        if name not in site.channels:
            raise ProjectionError((*at, "channels"), f"expected a channel of the site, found {name}")
    for network in rule.clients:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as exc:
            raise ProjectionError((*at, "clients"), f"expected a network such as 10.0.0.0/24, found {network}") from exc
    units = _spans(rule.units, (*at, "units"), _LAST_UNIT)
    return PlannedRule(
        rule.access,
        rule.clients,
        tuple((devices[name].channel, devices[name].unit_id) for name in rule.devices),
        rule.channels,
        units or (((BROADCAST_UNIT + 1, _LAST_UNIT),)),
        rule.functions,
        _spans(rule.registers, (*at, "registers"), 65_535),
    )


def _spans(spans: tuple[Span, ...], path: tuple[str | int, ...], last: int) -> Spans:
    found = []
    for span in spans:
        low, _, high = str(span).partition("-")
        pair = int(low), int(high or low)
        if not pair[0] <= pair[1] <= last:
            raise ProjectionError(path, f"expected first-last within {last}, found {span}")
        found.append(pair)
    return tuple(found)
