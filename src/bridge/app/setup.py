"""The set-up check of a running site (C-01): what is missing, or as it was delivered, or should be looked at."""

from collections.abc import Iterator, Sequence

import msgspec

from bridge.app.bridge import Bridge
from bridge.app.faces import Face, missing_extra
from bridge.config.model import FieldDevice, SiteConfig
from bridge.core.ports import Grant
from bridge.services.alarm_rules import rules_of
from bridge.services.billing import billed

# Values of a device that relative alarms, overload and unbalance are measured by (C-04)
_NOMINALS = ("voltage_v", "current_a", "frequency_hz")
_EVERYWHERE = ("0.0.0.0", "::", "")


class Finding(msgspec.Struct, frozen=True):
    """`level`: fault, warning or note. `code`: what it is, worded by who shows it. `subject`: of what."""

    level: str
    code: str
    subject: str
    detail: str = ""


def findings(bridge: Bridge) -> list[Finding]:
    """Return what a careful person would see to, the worst first."""
    config = bridge.config
    found = [
        *_access(bridge),
        *_servers(bridge.faces),
        *_meters(bridge),
        *_nominals(config.field),
        *_alarms(config),
        *_billing(config),
        *_bridge(bridge),
        *(Finding("warning", "file_warning", str(warning)) for warning in config.warnings),
    ]
    order = {"fault": 0, "warning": 1, "note": 2}
    return sorted(found, key=lambda finding: order[finding.level])


def _access(bridge: Bridge) -> Iterator[Finding]:
    asks = [face.name for face in bridge.faces if Grant.LOGINS in face.projected.needs.grants]
    if asks and not bridge.commands.has_users():
        yield Finding("warning", "no_user", ", ".join(asks))


def _servers(faces: Sequence[Face]) -> Iterator[Finding]:
    for face in faces:
        if lacking := missing_extra(face):
            yield Finding("fault", "not_installed", face.name, lacking)
        for listener in face.projected.listeners:
            address = f"{listener.bind}:{listener.port}"
            if listener.bind in _EVERYWHERE and not listener.networks:
                yield Finding("warning", "open_server", face.name, address)
            if listener.tls is None and not listener.bind.startswith("127.") and not _is_encrypted(face):
                yield Finding("note", "plain_server", face.name, address)


def _is_encrypted(face: Face) -> bool:
    """Tell whether a server without files of ours encrypts all the same: with a certificate that it made."""
    return str(face.projected.facts.get("url", "")).startswith("https:")


def _meters(bridge: Bridge) -> Iterator[Finding]:
    if bridge.field is None:
        return
    for name, snapshot in bridge.field.snapshots().items():
        if not snapshot.last_good_ns:
            yield Finding("fault", "never_answered", name, snapshot.last_error)
        elif not snapshot.serial_number:
            yield Finding("note", "no_serial_number", name)


def _nominals(field: Sequence[FieldDevice]) -> Iterator[Finding]:
    for device in field:
        nominal = device.definition.nominal
        unset = [name for name in _NOMINALS if not getattr(nominal, name)]
        if unset and device.definition.channel:
            yield Finding("warning", "no_nominal", device.definition.id, ", ".join(unset))


def _alarms(config: SiteConfig) -> Iterator[Finding]:
    for useless in rules_of(config.services.alarms, config.devices, config.points).useless:
        yield Finding("warning", "alarm_without_level", useless)


def _billing(config: SiteConfig) -> Iterator[Finding]:
    points = billed(config.services.history.billed, config.points)
    devices = {device.id: device for device in config.devices}
    for name in dict.fromkeys(point.device for point in points):
        device = devices[name]
        if "tenant" not in device.labels and device.channel:
            yield Finding("note", "no_tenant", name)
        if not device.mid and device.channel:
            yield Finding("note", "not_certified", name)


def _bridge(bridge: Bridge) -> Iterator[Finding]:
    recorder = bridge.own.memory.recorder
    if recorder is None or recorder.why:
        yield Finding("fault", "no_history", "", recorder.why if recorder is not None else "")
    if not bridge.own.time.synchronised:
        yield Finding("warning", "no_time", "")
    if bridge.config.services.syslog is None:
        yield Finding("note", "no_syslog", "")
