"""iec61850.yaml -> the plan: which data object shows which point."""

import ipaddress
import re
from collections.abc import Iterable

from bridge.core.errors import ProjectionError
from bridge.core.point import DeviceDef, Kind, PointDef
from bridge.core.ports import Extra, Grant, Needs, Numbers, Projected, SiteFacts
from bridge.core.rules import Rules
from bridge.core.units import UNITS
from bridge.projections.iec61850.objects import Spot, generic_stem, pulse_of, spot_of, unit_of
from bridge.projections.iec61850.plan import Control, Item, Meter, Plan, ReportLayout, Reports
from bridge.projections.iec61850.settings import Mapping, Override, Rule

__all__ = ["Mapping", "Plan", "project"]

# Of a logical device's inst, with room for a number that tells two like names apart.
_INST_LIMIT = 28
# Octets of IED name and inst together: an MMS domain name (IEC 61850-8-1).
_DOMAIN_LIMIT = 64
_DEFAULT_IP = "127.0.0.1"
# What one server carries: 5 s of CPU of the 10 s that it may take until it is ready, and 260 MB.
_POINTS_MOST = 24_000
# Report blocks, instances counted: the library looks at each of them a thousand times a second, 25 ns each.
_BLOCKS_MOST = 3_000
_WIDE = (ReportLayout.EVENTS_WIDE, ReportLayout.FULL_WIDE)
# libiec61850, GPL-3.0: installed when asked for, loaded only in the server's own process
_EXTRA = Extra("iec61850", "pyiec61850")


def project(mapping: Mapping, site: SiteFacts, numbers: Numbers) -> Projected:
    """
    Resolve every name and number. The ledger is asked in the order of the site, so that the first run is reproducible.

    Raises: ProjectionError with the path inside the mapping.
    """
    _known(mapping, site)
    chooser = _Chooser(mapping, numbers)
    meters = chooser.meters(site)
    _within_reach(mapping, meters)
    listener = mapping.listener
    plan = Plan(
        listener=listener,
        ied=mapping.ied,
        ip=_stated_ip(mapping),
        meters=meters,
        reports=Reports(**{name: getattr(mapping.reports, name) for name in Reports.__struct_fields__}),
        cid_dir=mapping.cid_dir,
        passwords=mapping.passwords,
        control_timeout_s=mapping.control_timeout_s,
    )
    items = [item for meter in meters for item in meter.items]
    commands = any(item.control is not Control.STATUS_ONLY for item in items)
    grants = Grant.NOTICES | (Grant.COMMANDS if commands else Grant.NOTHING)
    needs = Needs(frozenset(item.index for item in items), grants)
    return Projected(plan, needs, (listener,), facts=_facts(plan), tries=(_TRY,), extra=_EXTRA)


_TRY = (
    "# with a client from PyPI: pip install iec61850\n"
    """echo 'from iec61850 import *; c = await IedConnection.connect("{host}:{port}"); """
    """print(await c.get_server_directory())' | python -m asyncio"""
)


def _facts(plan: Plan) -> dict[str, str | int]:
    facts: dict[str, str | int] = {"ied": plan.ied}
    if plan.meters:
        facts["logical_device"] = plan.ied + plan.meters[0].inst
    return facts


class _Chooser:
    def __init__(self, mapping: Mapping, numbers: Numbers) -> None:
        self._mapping, self._numbers, self._rules = mapping, numbers, Rules(mapping.rules)

    def meters(self, site: SiteFacts) -> tuple[Meter, ...]:
        points: dict[str, list[PointDef]] = {}
        for definition in site.points:
            if not self._skipped(definition):
                points.setdefault(definition.device, []).append(definition)
        insts = self._insts(site.devices)
        return tuple(
            Meter(insts[d.id], d.id, d.vendor, d.model, d.meter, tuple(self._items(points[d.id])))
            for d in site.devices
            if d.id in points
        )

    def _insts(self, devices: Iterable[DeviceDef]) -> dict[str, str]:
        """Names that no other device ever had: the second "a_b" of the site's life becomes "a_b_2"."""
        pinned, found = self._mapping.devices, dict[str, str]()
        for device in devices:
            plain = "M_" if not device.id[0].isalpha() else ""
            plain = (plain + re.sub(r"[^A-Za-z0-9_]", "_", device.id))[:_INST_LIMIT]
            number = self._numbers.take(f"iec61850.inst.{plain}", device.id)
            found[device.id] = pinned.get(device.id) or (plain if number == 1 else f"{plain}_{number}")
        for name, inst in found.items():
            if list(found.values()).count(inst) > 1:
                raise ProjectionError(("devices", name), f"expected a name of its own, found {inst} twice")
            if len(self._mapping.ied + inst) > _DOMAIN_LIMIT:
                raise ProjectionError(("ied",), f"expected {_DOMAIN_LIMIT} octets at most with {inst}")
        return found

    def _items(self, points: list[PointDef]) -> Iterable[Item]:
        spots: dict[Spot, str] = {}
        for definition in sorted(points, key=lambda d: d.id):
            spot = spot_of(definition, self._mapping.import_energy)
            if spot is not None and not self._commanded(definition):
                # two meanings of one object: the first by name has it, the other is shown in GGIO
                spots.setdefault(spot, definition.id)
        owners = {point_id: spot for spot, point_id in spots.items()}
        return [self._item(definition, owners.get(definition.id)) for definition in points]

    def _item(self, definition: PointDef, spot: Spot | None) -> Item:
        control = self._control(definition)
        text = ""
        if spot is None:
            stem = generic_stem(definition, self._commanded(definition))
            pin = self._override(definition).number
            try:
                number = self._numbers.take(f"iec61850.{definition.device}.{stem}", definition.id, pin=pin)
            except ValueError as exc:
                raise ProjectionError(("overrides", definition.id, "number"), str(exc)) from exc
            spot, text = Spot("", "GGIO", 1, f"{stem}{number}"), _text(definition)
        unit, multiplier = unit_of(definition)
        pulse = 1.0
        if definition.kind is Kind.ACCUMULATOR:
            symbol = UNITS.get(definition.unit)
            exponent = (symbol.exponent or 0) if symbol is not None else 0
            try:
                pulse, multiplier = pulse_of(exponent + definition.resolution)
            except ValueError as exc:
                raise ProjectionError(("overrides", definition.id), f"{definition.id}: {exc}") from exc
        return Item(
            definition.index,
            definition.id,
            spot.prefix,
            spot.ln_class,
            spot.inst,
            spot.object,
            spot.phase,
            int(unit),
            multiplier,
            pulse,
            control,
            self._deadband(definition),
            text,
        )

    def _override(self, definition: PointDef) -> Override:
        return self._mapping.overrides.get(definition.id, _NO_OVERRIDE)

    def _rule(self, definition: PointDef) -> Rule:
        return self._rules.find(definition.id) or _NO_RULE

    def _skipped(self, definition: PointDef) -> bool:
        skip = self._override(definition).skip
        return self._rule(definition).skip if skip is None else skip

    def _control(self, definition: PointDef) -> Control:
        """Opt-in per output (seed 004, l.4035): nothing is commanded unless the mapping names it."""
        wanted = self._override(definition).control or self._rule(definition).control or Control.STATUS_ONLY
        return wanted if definition.writable and not definition.mid else Control.STATUS_ONLY

    def _commanded(self, definition: PointDef) -> bool:
        return self._control(definition) is not Control.STATUS_ONLY

    def _deadband(self, definition: PointDef) -> float:
        for wanted in (self._override(definition).deadband, self._rule(definition).deadband):
            if wanted is not None:
                return wanted
        return definition.deadband


_NO_OVERRIDE, _NO_RULE = Override(), Rule(match="")


def _text(definition: PointDef) -> str:
    unit = f" [{definition.unit}]" if definition.unit else ""
    return (definition.label or definition.name) + unit


def _stated_ip(mapping: Mapping) -> str:
    if not mapping.ip:
        bind = mapping.listener.bind
        return bind if bind not in ("", "0.0.0.0", "::") else _DEFAULT_IP
    try:
        return str(ipaddress.ip_address(mapping.ip))
    except ValueError as exc:
        raise ProjectionError(("ip",), f"expected an IP address, found {mapping.ip!r}") from exc


def _within_reach(mapping: Mapping, meters: tuple[Meter, ...]) -> None:
    points = sum(len(meter.items) for meter in meters)
    if points > _POINTS_MOST:
        raise ProjectionError(
            ("rules",), f"expected {_POINTS_MOST:,} points at most, the most that one server carries, found {points:,}:"
            " skip some by a rule"
        )  # fmt: skip
    reports = mapping.reports
    blocks = len(meters) * (reports.instances + reports.buffered_instances)
    if blocks > _BLOCKS_MOST and reports.layout not in _WIDE:
        raise ProjectionError(
            ("reports", "instances"), f"expected {_BLOCKS_MOST:,} report blocks at most, found {blocks:,} for"
            f" {len(meters):,} meters: fewer instances, or a layout over the whole device"
        )  # fmt: skip


def _known(mapping: Mapping, site: SiteFacts) -> None:
    points = {definition.id: definition for definition in site.points}
    for point_id, override in mapping.overrides.items():
        if point_id not in points:
            raise ProjectionError(("overrides", point_id), "expected a point of the site")
        wanted = override.control
        if wanted is not None and wanted is not Control.STATUS_ONLY and not points[point_id].writable:
            raise ProjectionError(("overrides", point_id, "control"), "expected a writable point")
    devices = {device.id for device in site.devices}
    for device in mapping.devices:
        if device not in devices:
            raise ProjectionError(("devices", device), "expected a device of the site")
