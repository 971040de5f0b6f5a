"""`services.history` and `services.syslog` of site.yaml, checked against the points and the files there are."""

import fnmatch
from collections.abc import Sequence
from pathlib import Path as FilePath
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bridge.config.faults import Faults
from bridge.config.marked import Marked
from bridge.config.model import FieldDevice
from bridge.config.services import ServicesFile
from bridge.config.syslog_keys import Carrier


def check_services(
    services: ServicesFile, field: Sequence[FieldDevice], directory: FilePath, marked: Marked, faults: Faults
) -> None:
    """Note every mistake."""
    points = [point.definition.id for device in field for point in device.points]
    try:
        ZoneInfo(services.history.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        found = services.history.timezone[:40]
        message = f"expected the name of a time zone, such as Europe/Paris, found `{found}`"
        faults.at(marked, ("services", "history", "timezone"), message)
    for i, key in enumerate(services.history.record):
        if not fnmatch.filter(points, key.match):
            message = f"expected a pattern that matches a point, found `{key.match}`"
            faults.at(marked, ("services", "history", "record", i, "match"), message)
        if key.then_every_s and not 0 < key.every_s < key.then_every_s:
            message = f"expected more than every_s, which is not 0, found {key.then_every_s} after {key.every_s:g}"
            faults.at(marked, ("services", "history", "record", i, "then_every_s"), message)
    syslog = services.syslog
    if syslog is None:
        return
    if syslog.carrier is not Carrier.TLS and (syslog.ca or syslog.server_name):
        message = f"expected certificates with `carrier: tls` only, found them with {syslog.carrier.value}"
        faults.at(marked, ("services", "syslog"), message)
    if syslog.ca and not (directory / syslog.ca).is_file():
        message = f"expected a file of certificates beside site.yaml, found no file `{syslog.ca}`"
        faults.at(marked, ("services", "syslog", "ca"), message)
