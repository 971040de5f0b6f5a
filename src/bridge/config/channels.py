"""Checks between the channels and devices of a site: who shares a line, and whether they can (REQUIREMENTS F-03)."""

import posixpath

from bridge.config.faults import Faults
from bridge.config.marked import Marked
from bridge.config.site import Channel, RtuChannel, SiteFile, TcpChannel
from bridge.config.words import near

# Devices on one RS-485 line without repeater (seed 003), and with
MAX_DEVICES = 32
MAX_DEVICES_REPEATED = 250
# Reaches the only device of a line, whatever its unit id
ANY_UNIT = 248


def check_channels(marked: Marked, file: SiteFile, faults: Faults) -> None:
    """Note unknown channels, ports wanted twice, unit ids used twice and lines with too many devices."""
    _check_ports(marked, file, faults)
    by_channel: dict[str, list[str]] = {}
    for id_, device in file.devices.items():
        # those with a mistake inside too, which `file` lacks
        if device.channel not in marked.data["channels"]:
            hint = near(device.channel, marked.data["channels"])
            message = f"expected a channel of this site, found `{device.channel[:60]}`{hint}"
            faults.at(marked, ("devices", id_, "channel"), message)
        by_channel.setdefault(device.channel, []).append(id_)
    for channel, ids in by_channel.items():
        _check_units(marked, file, faults, channel, ids)


def _check_ports(marked: Marked, file: SiteFile, faults: Faults) -> None:
    seen: dict[tuple[str, ...], str] = {}
    gateways: dict[int, str] = {}
    for id_, channel in file.channels.items():
        if channel.off:
            continue
        end = _end(channel)
        first = seen.setdefault(end, id_)
        both_tcp = isinstance(channel, TcpChannel) and isinstance(file.channels[first], TcpChannel)
        if first != id_ and not (both_tcp and not _units(file, first) & _units(file, id_)):
            line = marked.where(("channels", first))[0]
            message = f"expected a port that no other channel has, found {' '.join(end)} of `{first}` (line {line})"
            faults.at(marked, ("channels", id_, "port" if isinstance(channel, RtuChannel) else "host"), message)
        if isinstance(channel, RtuChannel) and channel.gateway is not None:
            other = gateways.setdefault(channel.gateway.tcp, id_)
            if other != id_:
                message = f"expected a TCP port that no other gateway has, found {channel.gateway.tcp} of `{other}`"
                faults.at(marked, ("channels", id_, "gateway", "tcp"), message)


def _units(file: SiteFile, channel: str) -> set[int]:
    """Return the unit ids on a channel: two connections may go to one host, but not to one device."""
    return {device.unit for device in file.devices.values() if device.channel == channel}


def _end(channel: Channel) -> tuple[str, ...]:
    if isinstance(channel, RtuChannel):
        return (posixpath.normpath(channel.port),)
    return channel.host.strip("[]").lower(), str(channel.port)


def _check_units(marked: Marked, file: SiteFile, faults: Faults, channel: str, ids: list[str]) -> None:
    seen: dict[int, str] = {}
    for id_ in ids:
        unit = file.devices[id_].unit
        first = seen.setdefault(unit, id_)
        path = ("devices", id_, "unit") if marked.has(("devices", id_, "unit")) else ("devices", id_)
        if first != id_:
            line = marked.where(("devices", first))[0]
            message = (
                f"expected a unit id that no other device of `{channel}` has, found {unit} of `{first}` (line {line})"
            )
            faults.at(marked, path, message)
        if unit == ANY_UNIT and len(ids) > 1:
            message = f"expected a unit id from 1 to 247, for `{channel}` has {len(ids)} devices, found {ANY_UNIT}"
            faults.at(marked, path, message)
    kind = file.channels.get(channel)
    if kind is None or isinstance(kind, TcpChannel) or len(ids) <= MAX_DEVICES:
        return
    path = ("channels", channel)
    if len(ids) > MAX_DEVICES_REPEATED:
        faults.at(marked, path, f"expected at most {MAX_DEVICES_REPEATED} devices on a line, found {len(ids)}")
        return
    faults.warn(marked, path, f"expected at most {MAX_DEVICES} devices on a line without repeater, found {len(ids)}")
