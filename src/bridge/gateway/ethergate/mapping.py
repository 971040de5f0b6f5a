"""ethergate.yaml -> the plan: which line, for whom."""

from typing import Annotated

import msgspec

from bridge.core.errors import ProjectionError
from bridge.core.listener import Listener
from bridge.core.ports import Grant, Needs, Numbers, Projected, SiteFacts

# a reason, not a word of assent
Waiver = Annotated[str, msgspec.Meta(max_length=500)]


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    ethergate.yaml. `channel`: the serial line; site.yaml must say `ethergate: true` there. `secure`: a second listener,
    with TLS. `idle_s` of a listener gives the line back to the poller. `mid_waiver`: why raw bytes may reach a line
    with a MID meter; needs TLS with client certificates on every listener.
    """

    listener: Listener
    secure: Listener | None = None
    channel: str
    mid_waiver: Waiver = ""


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the worker needs."""

    listeners: tuple[Listener, ...]
    channel: str


def project(mapping: Mapping, site: SiteFacts, numbers: Numbers) -> Projected:
    """Raises: ProjectionError with the path inside the mapping."""
    facts = site.channels.get(mapping.channel)
    if facts is None or facts.kind != "rtu":
        found = f"{mapping.channel} of kind {facts.kind}" if facts is not None else mapping.channel
        raise ProjectionError(("channel",), f"expected a serial line of the site that is not off, found {found}")
    if not facts.ethergate:
        text = f"expected `ethergate: true` at channel {mapping.channel} in site.yaml: sharing a line is its consent"
        raise ProjectionError(("channel",), text)
    if mapping.secure is not None and mapping.secure.tls is None:
        raise ProjectionError(("secure",), "expected tls with certificate and key")
    named = [("listener", mapping.listener)] + ([("secure", mapping.secure)] if mapping.secure is not None else [])
    _spare_billing(mapping, site, named)
    # the line has one user at a time
    listeners = tuple(msgspec.structs.replace(listener, max_clients=1) for _, listener in named)
    needs = Needs(frozenset(), Grant.TUNNELS, frozenset({mapping.channel}))
    tries = (f"socat -d pty,raw,echo=0,link=/tmp/{mapping.channel} tcp:{{host}}:{{port}}",)
    return Projected(Plan(listeners=listeners, channel=mapping.channel), needs, listeners, tries=tries)


def _spare_billing(mapping: Mapping, site: SiteFacts, named: list[tuple[str, Listener]]) -> None:
    """Nothing can be forbidden inside raw bytes, so they stay away from what people are billed by."""
    mid = [device.id for device in site.devices if device.channel == mapping.channel and device.mid]
    if not mid:
        return
    for name, listener in named:
        if listener.tls is None or not listener.tls.client_ca:
            text = f"expected tls with client_ca, for {', '.join(mid)} on {mapping.channel} is a MID meter"
            raise ProjectionError((name,), text)
    if not mapping.mid_waiver.strip():
        text = f"expected a reason why raw bytes may reach the MID meter {', '.join(mid)}, found none"
        raise ProjectionError(("mid_waiver",), text)
