"""Whether `access:` fits the site: every name is known, and nothing tries to open what a MID meter bills by."""

import fnmatch
import ipaddress
import re
from collections.abc import Iterable, Sequence

from bridge.config.access import AccessFile, Effect, WriteRule
from bridge.config.faults import Faults
from bridge.config.marked import Marked, Path
from bridge.config.model import FieldDevice, FieldPoint, Register
from bridge.config.names import protocols
from bridge.config.words import near
from bridge.core.point import PointDef
from bridge.core.rights import ROLES

# How the command line of this machine is called among the protocols
CLI = "cli"


def check_access(
    marked: Marked, access: AccessFile, channels: Iterable[str], field: Sequence[FieldDevice], faults: Faults
) -> None:
    """Note every mistake of `access:`."""
    points = [p.definition for device in field for p in device.points]
    roles = {*ROLES, *access.roles}
    for name in access.roles:
        if name in ROLES:
            faults.at(marked, ("access", "roles", name), f"expected a name of its own, found `{name}`, which is given")
    for i, identity in enumerate(access.identities):
        path: Path = ("access", "identities", i)
        _known(marked, (*path, "role"), "a role", [identity.role], roles, faults, is_list=False)
        _known(marked, (*path, "protocol"), "a protocol", [identity.protocol], _protocols(), faults, is_list=False)
        _networks(marked, (*path, "networks"), identity.networks, faults)
    for i, rule in enumerate(access.rules):
        path = ("access", "rules", i)
        _known(marked, (*path, "roles"), "a role", rule.roles, roles, faults)
        _known(marked, (*path, "protocols"), "a protocol", rule.protocols, _protocols(), faults)
        _networks(marked, (*path, "networks"), rule.networks, faults)
        if rule.range is not None and rule.range[0] > rule.range[1]:
            low, high = rule.range
            faults.at(marked, (*path, "range"), f"expected the lower number first, found {low:g} and {high:g}")
        _matches(marked, (*path, "match"), rule, points, faults)
    for i, raw in enumerate(access.gateway):
        path = ("access", "gateway", i)
        _known(marked, (*path, "channel"), "a channel", [raw.channel], set(channels), faults, is_list=False)
        _known(marked, (*path, "roles"), "a role", raw.roles, roles, faults)
        _networks(marked, (*path, "networks"), raw.networks, faults)
        for n, (first, last) in enumerate(raw.registers):
            if first > last:
                faults.at(
                    marked, (*path, "registers", n), f"expected the lower address first, found {first} and {last}"
                )
    for device in field:
        for point in device.points:
            _broadcast(marked, device, point, field, faults)


def _protocols() -> set[str]:
    return {*protocols(), CLI}


def _known(
    marked: Marked,
    path: Path,
    what: str,
    words: Sequence[str],
    known: set[str],
    faults: Faults,
    is_list: bool = True,
) -> None:
    for i, word in enumerate(words):
        if word not in known:
            where = (*path, i) if is_list else path
            faults.at(marked, where, f"expected {what}, found `{word[:60]}`{near(word, known)}")


def _networks(marked: Marked, path: Path, networks: Sequence[str], faults: Faults) -> None:
    for i, network in enumerate(networks):
        try:
            ipaddress.ip_network(network)
        except ValueError as exc:
            faults.at(marked, (*path, i), f"expected a network such as 192.0.2.0/24, found `{network[:60]}` ({exc})")


def _matches(marked: Marked, path: Path, rule: WriteRule, points: Sequence[PointDef], faults: Faults) -> None:
    """A rule must open something. What a MID meter bills by stays shut, and to name it is a mistake (BARS S2)."""
    fits = re.compile(fnmatch.translate(rule.match)).match
    matched = [point for point in points if fits(point.id)]
    if not matched:
        hint = near(rule.match, [point.id for point in points])
        suggestion = hint if "did you" in hint else ""
        faults.at(marked, path, f"expected a pattern that matches a point, found `{rule.match[:80]}`{suggestion}")
        return
    if rule.effect is Effect.DENY:
        return
    locked = [point for point in matched if point.mid]
    if any(point.writable and not point.mid for point in matched):
        if locked:
            message = f"expected no point of a MID meter, found {len(locked)} such as {locked[0].id}: they stay locked"
            faults.warn(marked, path, message)
        return
    if locked:
        message = f"expected no point that a MID meter bills by, found {locked[0].id}: nobody may ever write it"
    else:
        message = f"expected a point that can be written, found {matched[0].id}, whose meter file says no `writable`"
    faults.at(marked, path, message)


def _broadcast(
    marked: Marked, device: FieldDevice, point: FieldPoint, field: Sequence[FieldDevice], faults: Faults
) -> None:
    """A broadcast reaches every device of the line: none may have something locked at that address."""
    if point.write is None or not point.write.broadcast:
        return
    wire = point.write.register
    for other in field:
        if other.definition.channel != device.definition.channel:
            continue
        for theirs in other.points:
            if any(_overlap(register, wire) for register in theirs.locked):
                told = f"found {theirs.definition.id} of a MID meter at the same address"
                path = ("devices", device.definition.id)
                message = f"{point.definition.name}: expected a broadcast that no billed register hears, {told}"
                faults.at(marked, path, message)


def _overlap(one: Register, other: Register) -> bool:
    same = one.table is other.table
    return same and one.address < other.address + other.count and other.address < one.address + one.count
