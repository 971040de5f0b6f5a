"""opcua.yaml -> the plan: which points are shown, which may be written, who may come in."""

import re

from bridge.core.errors import ProjectionError
from bridge.core.point import PointDef, Role
from bridge.core.ports import Grant, Needs, Numbers, Projected, SiteFacts
from bridge.core.rules import Rules
from bridge.projections.opcua.plan import Acknowledging, Admission, Plan
from bridge.projections.opcua.settings import Access, Mapping, Override, Range, Rule

__all__ = ["Mapping", "Plan", "project"]

_NO_RULE = Rule(match="*")
_NO_OVERRIDE = Override()
_NOT_IN_A_URN = re.compile(r"[^A-Za-z0-9._-]")


def project(mapping: Mapping, site: SiteFacts, numbers: Numbers) -> Projected:
    """
    Choose points and accesses; node ids are names, so the ledger is not asked.

    Raises: ProjectionError with the path inside the mapping.
    """
    del numbers
    _sound(mapping, site)
    rules = Rules(mapping.rules)
    shown: list[int] = []
    writable: list[int] = []
    ranges: dict[int, Range] = {}
    for definition in site.points:
        rule = rules.find(definition.id) or _NO_RULE
        override = mapping.overrides.get(definition.id, _NO_OVERRIDE)
        if override.skip if override.skip is not None else rule.skip:
            continue
        shown.append(definition.index)
        access = override.access or rule.access or mapping.access
        if access is Access.READ_WRITE and may_be_written(definition):
            writable.append(definition.index)
        wanted = override.range or rule.range
        if wanted is not None:
            ranges[definition.index] = wanted
    plan = Plan(
        listener=mapping.listener,
        site=site.name,
        application_name=mapping.application_name,
        application_uri=mapping.application_uri or f"urn:meterbridge:{_NOT_IN_A_URN.sub('-', site.name)}",
        points=tuple(shown),
        writable=tuple(writable),
        ranges=ranges,
        security=mapping.security,
        users=mapping.users,
        limits=mapping.limits,
        write_timeout_s=mapping.write_timeout_s,
        acknowledging=mapping.alarms.acknowledge,
    )
    grants = Grant.HISTORY | Grant.ALARMS
    if writable or mapping.alarms.acknowledge is not Acknowledging.REFUSED:
        grants |= Grant.COMMANDS
    url = f"opc.tcp://{mapping.listener.bind}:{mapping.listener.port}"
    return Projected(
        plan,
        Needs(frozenset(shown), grants),
        (mapping.listener,),
        facts={"url": url},
        tries=("uals -u opc.tcp://{host}:{port} -n 'ns=2;s=/Meters'",),
    )


def may_be_written(definition: PointDef) -> bool:
    """Tell whether a point is one that a policy may let be written; what bills is not (S2)."""
    return definition.writable and not definition.mid and definition.role in (Role.COMMAND, Role.SETTING)


def _sound(mapping: Mapping, site: SiteFacts) -> None:
    known = {definition.id for definition in site.points}
    for point_id in mapping.overrides:
        if point_id not in known:
            raise ProjectionError(("overrides", point_id), "expected a point of the site")
    ranged: list[tuple[tuple[str | int, ...], Range | None]] = [
        (("rules", at, "range"), rule.range) for at, rule in enumerate(mapping.rules)
    ]
    ranged += [(("overrides", name, "range"), override.range) for name, override in mapping.overrides.items()]
    for path, limits in ranged:
        if limits is not None and not limits[0] < limits[1]:
            raise ProjectionError(path, f"expected the lower end first, found {list(limits)}")
    security = mapping.security
    if not security.policies and security.no_security is Admission.REFUSED:
        raise ProjectionError(("security", "policies"), "expected one policy at least, or no_security: allowed")
    if security.policies and not security.modes:
        raise ProjectionError(("security", "modes"), "expected one mode at least")
    if not mapping.users and security.anonymous is Admission.REFUSED:
        raise ProjectionError(("users",), "expected a user at least, or security: {anonymous: allowed}")
    for name, user in mapping.users.items():
        if user.password is None and user.certificate is None:
            raise ProjectionError(("users", name), "expected a password hash or the thumbprint of a certificate")
    if mapping.listener.tls is not None:
        raise ProjectionError(("listener", "tls"), "expected none: OPC UA secures its own channel, see `security`")
