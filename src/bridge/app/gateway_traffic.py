"""Who reads what through the gateway, as its process has written it last."""

from pathlib import Path
from typing import Any

import msgspec

from bridge.config.model import SiteConfig
from bridge.core.traffic import ROWS_MOST, TRAFFIC_FILE, TrafficRow

# the server's name, and so that of its folder
GATEWAY = "gateway"
# bytes; a row is some 200
_FILE_MOST = 1024 * ROWS_MOST


def traffic_rows(config: SiteConfig) -> list[dict[str, Any]]:
    """
    Return the questions of clients, the busiest first, each with the device it is for. Empty without a gateway, and
    for a file that is none: another process wrote it.
    """
    devices = {(d.definition.channel, d.definition.unit_id): d.definition.id for d in config.field}
    rows = sorted(_read(config.state_dir / GATEWAY / TRAFFIC_FILE), key=lambda row: -row.requests)
    return [
        {
            "client": row.client,
            "device": devices.get((row.channel, row.line_unit), ""),
            **msgspec.structs.asdict(row),
        }
        for row in rows[:ROWS_MOST]
    ]


def _read(path: Path) -> list[TrafficRow]:
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_MOST + 1)
        return msgspec.json.decode(data, type=list[TrafficRow]) if len(data) <= _FILE_MOST else []
    except (OSError, msgspec.DecodeError):
        return []
