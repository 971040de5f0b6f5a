"""dnp3.yaml -> the plan: which DNP3 points show which points, and who may ask."""

import ipaddress
from collections.abc import Sequence

import msgspec

from bridge.core.errors import ProjectionError
from bridge.core.ports import Grant, Needs, Numbers, Projected, SiteFacts
from bridge.projections.dnp3.layout import Choice, Chooser, companion, primary
from bridge.projections.dnp3.limits import fits
from bridge.projections.dnp3.plan import Identity, MasterPlan, Permit, Plan, Shown
from bridge.projections.dnp3.settings import Mapping, Master

__all__ = ["Mapping", "Plan", "project"]

# Events per class that any site gets.
_LEAST_CAPACITY = 1000
_TRY = (
    "# with a master from PyPI: pip install dnp3py\n"
    """echo 'from dnp3.master import *; h = DefaultSOEHandler(); m = Master(handler=h, """
    """config=MasterConfig(address=%d, outstation_address=%d)); """
    """r = await MasterTcpRunner(master=m, host="{host}", port={port}).__aenter__(); """
    """await r.integrity_poll(); print({{n: c.value for n, c in h.counters.items()}}); """
    """await r.__aexit__(None, None, None)' | python -m asyncio"""
)


def project(mapping: Mapping, site: SiteFacts, numbers: Numbers) -> Projected:
    """
    Resolve every index. The ledger is asked for pins first, then in the order of the site.

    Raises: ProjectionError with the path inside the mapping.
    """
    known = {definition.id for definition in site.points}
    for point_id in mapping.overrides:
        if point_id not in known:
            raise ProjectionError(("overrides", point_id), "expected a point of the site")
    chooser = Chooser(mapping)
    choices = [choice for definition in site.points if (choice := chooser.choose(definition)) is not None]
    fits(choices)
    points = _numbered(choices, numbers)
    names = mapping.identity
    identity = Identity(
        vendor=names.vendor,
        product=names.product,
        location=names.location,
        id_code=names.id_code,
        name=names.name or site.name,
        serial_number=names.serial_number,
    )
    masters = tuple(_master(at, master, mapping, points) for at, master in enumerate(mapping.masters))
    _distinct(mapping.masters)
    plan = Plan(
        # each master's own connection, and one more to be looked at: a master that comes again replaces its old one
        listener=msgspec.structs.replace(mapping.listener, max_clients=len(masters) + 1),
        identity=identity,
        masters=masters,
        points=points,
        command_class=mapping.command_class,
    )
    asks = any(Permit.CONTROL in master.permits for master in masters) and any(place.writable for place in points)
    first = mapping.masters[0]
    return Projected(
        plan,
        Needs(frozenset(place.index for place in points), Grant.COMMANDS if asks else Grant.NOTHING),
        (mapping.listener,),
        facts={"outstation": first.outstation, "master": first.address},
        tries=(_TRY % (first.address, first.outstation),) if first.serial is None else (),
    )


def _numbered(choices: Sequence[Choice], numbers: Numbers) -> tuple[Shown, ...]:
    """Pins first, for the ledger takes no number back; the doubles of energies last: equal variations stay together."""
    places: dict[str, Shown] = {}
    beside: dict[str, Shown] = {}
    for pinned in (True, False):
        for choice in choices:
            if (choice.override.index is not None) is pinned:
                places[choice.definition.id] = primary(choice, numbers)
            if choice.companion and pinned and choice.override.companion_index is not None:
                beside[choice.definition.id] = companion(choice, numbers)
    for choice in choices:
        if choice.companion and choice.definition.id not in beside:
            beside[choice.definition.id] = companion(choice, numbers)
    return (*places.values(), *beside.values())


def _master(at: int, master: Master, mapping: Mapping, points: tuple[Shown, ...]) -> MasterPlan:
    if master.address == master.outstation:
        raise ProjectionError(
            ("masters", at, "outstation"), f"expected another address than the master's, found {master.address}"
        )
    if master.keepalive_s >= mapping.listener.idle_s and master.serial is None:
        raise ProjectionError(
            ("masters", at, "keepalive_s"),
            f"expected less than listener.idle_s, {mapping.listener.idle_s:g} s, found {master.keepalive_s:g}",
        )
    for network in master.networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as exc:
            raise ProjectionError(("masters", at, "networks"), f"expected a network, found {network}: {exc}") from exc
    enough = [max(_LEAST_CAPACITY, 2 * sum(place.event_class == c for place in points)) for c in (1, 2, 3)]
    one, two, three = (given or auto for given, auto in zip(master.event_capacity, enough, strict=True))
    return MasterPlan(
        name=f"{master.address}-{master.outstation}",
        address=master.address,
        outstation=master.outstation,
        networks=master.networks,
        serial=master.serial,
        permits=master.allow,
        unsolicited=master.unsolicited,
        unsolicited_retries=master.unsolicited_retries,
        confirm_timeout_s=master.confirm_timeout_s,
        select_timeout_s=master.select_timeout_s,
        command_timeout_s=mapping.command_timeout_s,
        # on a shared serial pair nothing may be sent unasked
        keepalive_s=master.keepalive_s if master.serial is None else 0.0,
        fragment_bytes=master.fragment_bytes,
        max_controls=master.max_controls,
        event_capacity=(one, two, three),
    )


def _distinct(masters: tuple[Master, ...]) -> None:
    """Two sessions of one port must be told apart by link address or network; one master at most sets the time."""
    setting = [at for at, master in enumerate(masters) if Permit.TIME in master.allow]
    if len(setting) > 1:
        raise ProjectionError(("masters", setting[1], "allow"), "expected one master that sets the time, found two")
    for at, one in enumerate(masters):
        for other in masters[:at]:
            if one.serial is not None or other.serial is not None:
                if one.serial is not None and other.serial is not None and one.serial.port == other.serial.port:
                    raise ProjectionError(("masters", at, "serial"), "expected a serial port of its own")
                continue
            same = (one.address, one.outstation) == (other.address, other.outstation)
            if same and _overlap(one.networks, other.networks):
                raise ProjectionError(
                    ("masters", at, "address"), f"expected other link addresses or networks than {other.address} has"
                )


def _overlap(some: tuple[str, ...], others: tuple[str, ...]) -> bool:
    if not some or not others:
        return True
    networks = [ipaddress.ip_network(text, strict=False) for text in some]
    theirs = [ipaddress.ip_network(text, strict=False) for text in others]
    return any(a.version == b.version and a.overlaps(b) for a in networks for b in theirs)
