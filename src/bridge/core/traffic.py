"""Who asks what through the gateway: the row that its process writes and the core shows."""

import msgspec

# in the gateway's folder below the state directory
TRAFFIC_FILE = "traffic.json"
# rows kept; the one that was not asked for longest goes first
ROWS_MOST = 512


class TrafficRow(msgspec.Struct):
    """
    One question of one client. `unit`: as the client says it; `line_unit`: as the line has it; `address`, `count`: -1
    and 0 where the function has none.
    """

    client: str
    door: int
    channel: str
    unit: int
    line_unit: int
    function: int
    address: int
    count: int
    requests: int = 0
    failed: int = 0
    last_utc_ns: int = 0
