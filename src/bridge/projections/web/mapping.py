"""web.yaml -> the plan: where the console listens, who may look at it, with which certificate."""

import enum
import ipaddress
from typing import Annotated

import msgspec

from bridge.core.errors import ProjectionError
from bridge.core.listener import Listener
from bridge.core.ports import Grant, Needs, Numbers, Projected, SiteFacts

__all__ = ["Certificate", "Mapping", "Plan", "project"]

_LOOPBACK = ("127.0.0.0/8", "::1/128")
# s; a page that only listens is sent something every 2.5 s
_IDLE_LEAST_S = 5
# A name that a browser may use for this server
Host = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$")]


class Certificate(enum.Enum):
    """OWN: self-signed, made at the first start, unless `listener.tls` names one. NONE: plain HTTP, loopback only."""

    OWN = "own"
    NONE = "none"


class Administration(enum.Enum):
    """Whether a user with the right may reload the site, and keep users and the console's certificate, from a page."""

    OFF = "off"
    ON = "on"


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    web.yaml. `open_networks`: who may look without logging in, which changes nothing; `health_networks`: who may ask
    /healthz, /readyz and /metrics without it. `hosts`: names of this server besides its addresses and localhost.
    `max_live`: pages that are kept up to date at once. `idle_min`: minutes without a request after which a login ends.
    `redirect`: a listener for plain HTTP that sends everybody to this one.
    """

    listener: Listener
    certificate: Certificate = Certificate.OWN
    open_networks: tuple[str, ...] = _LOOPBACK
    health_networks: tuple[str, ...] = _LOOPBACK
    hosts: tuple[Host, ...] = ()
    max_live: Annotated[int, msgspec.Meta(ge=1, le=200)] = 30
    idle_min: Annotated[int, msgspec.Meta(ge=1, le=480)] = 15
    administration: Administration = Administration.OFF
    redirect: Listener | None = None


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the worker serves."""

    listener: Listener
    certificate: Certificate
    site: str
    open_networks: tuple[str, ...]
    health_networks: tuple[str, ...]
    hosts: tuple[str, ...]
    max_live: int
    idle_min: int
    administration: Administration
    redirect: Listener | None


def project(mapping: Mapping, site: SiteFacts, numbers: Numbers) -> Projected:
    """Raises: ProjectionError with the path inside the mapping."""
    del numbers
    listener = mapping.listener
    for name in ("open_networks", "health_networks"):
        for at, network in enumerate(getattr(mapping, name)):
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError as exc:
                raise ProjectionError((name, at), str(exc)) from exc
    if listener.idle_s < _IDLE_LEAST_S:
        raise ProjectionError(("listener", "idle_s"), f"expected {_IDLE_LEAST_S} or more, found {listener.idle_s:g}")
    plain = mapping.certificate is Certificate.NONE and listener.tls is None
    if plain and not _is_loopback(listener.bind):
        raise ProjectionError(("certificate",), f"expected own, or listener.tls: {listener.bind} is not loopback")
    if mapping.redirect is not None and (plain or mapping.redirect.tls is not None):
        raise ProjectionError(("redirect",), "expected a plain listener in front of one with TLS")
    plan = Plan(
        listener=listener,
        certificate=mapping.certificate,
        site=site.name,
        open_networks=mapping.open_networks,
        health_networks=mapping.health_networks,
        hosts=mapping.hosts,
        max_live=mapping.max_live,
        idle_min=mapping.idle_min,
        administration=mapping.administration,
        redirect=mapping.redirect,
    )
    grants = Grant.OPERATIONS | Grant.ALARMS | Grant.LOGINS | Grant.COMMANDS | Grant.HISTORY
    if mapping.administration is Administration.ON:
        grants |= Grant.ORDERS
    url = f"{'http' if plain else 'https'}://{listener.bind}:{listener.port}"
    return Projected(
        plan,
        Needs(frozenset(point.index for point in site.points), grants),
        (listener,) if mapping.redirect is None else (listener, mapping.redirect),
        facts={"url": url},
        tries=(f"curl {'' if plain else '-k '}{url.partition(':')[0]}://{{host}}:{{port}}/healthz",),
    )


def _is_loopback(bind: str) -> bool:
    try:
        return ipaddress.ip_address(bind).is_loopback
    except ValueError:
        return bind == "localhost"
