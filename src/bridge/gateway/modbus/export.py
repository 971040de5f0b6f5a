"""The list an integrator types into the client: which port and unit id reach which device. CSV, made from the plan."""

import csv
import io
from collections.abc import Iterable, Sequence

from bridge.core.point import DeviceDef
from bridge.core.ports import SiteFacts
from bridge.gateway.modbus.plan import ONLY_DEVICE_UNIT, Door, Plan, Route

COLUMNS = ("port", "framing", "tls", "unit_id", "device", "channel", "line_unit_id", "timeout_s")
Row = tuple[str | int, ...]


def unit_list(plan: Plan, devices: Sequence[DeviceDef]) -> str:
    """
    Return the CSV: one row per unit id and listener that leads to a device, sorted as the listeners and unit ids are.

    `device` is empty for what the bridge does not poll; `timeout_s` is empty where the device's own holds.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    names = {(device.channel, device.unit_id): device.id for device in devices}
    for door in plan.doors:
        writer.writerows(_rows(door, names))
    return text.getvalue()


def _rows(door: Door, names: dict[tuple[str, int], str]) -> Iterable[Row]:
    routes = dict(door.routes)
    if door.only is not None:
        routes[ONLY_DEVICE_UNIT] = door.only
    # every number of a line's own port leads somewhere; only those of devices are worth a row
    every = len(routes) >= ONLY_DEVICE_UNIT - 1
    for unit_id, route in sorted(routes.items()):
        name = names.get((route.channel, route.unit), "")
        if name or not every:
            yield _row(door, unit_id, route, name)


def _row(door: Door, unit_id: int, route: Route, name: str) -> Row:
    listener = door.listener
    tls = "" if listener.tls is None else "client certificate" if listener.tls.client_ca else "yes"
    timeout = f"{route.timeout_s:g}" if route.timeout_s else ""
    return (listener.port, door.framing.value, tls, unit_id, name, route.channel, route.unit, timeout)


def _export_unit_list(plan: Plan, site: SiteFacts) -> Iterable[tuple[str, str]]:
    yield "gateway-units.csv", unit_list(plan, site.devices)


# name of `meterbridge export` -> generator of (file name, text)
EXPORTS = {"gateway-map": _export_unit_list}
