"""Who asks what: counters for health and metrics, and a bounded table of client, unit, function and registers."""

import logging
from collections import OrderedDict

from bridge.core.clock import Clock
from bridge.core.command import Origin
from bridge.core.ports import RefusalSink
from bridge.core.traffic import ROWS_MOST, TrafficRow
from bridge.modbus.request import only_reads

# the name under which the core knows this server
PROTOCOL = "gateway"
COUNTERS = (
    "connections",
    "requests",
    "replies",
    "device_exceptions",
    "refused_policy",
    "refused_core",
    "no_reply",
    "no_path",
    "busy",
    "joined",
    "cached",
    "held_off",
    "exchanges",
    "broadcasts",
    "bad_frames",
    "bytes_in",
    "bytes_out",
)
_log = logging.getLogger("bridge.gateway")


class Traffic:
    """Loop thread only. `refusals`: who records that a write was refused here; the core records its own refusals."""

    def __init__(self, counters: dict[str, int], clock: Clock, refusals: RefusalSink) -> None:
        self.counters, self._clock, self._refusals = counters, clock, refusals
        self._rows: OrderedDict[tuple[str, int, int, bytes], TrafficRow] = OrderedDict()
        counters.update(dict.fromkeys(COUNTERS, 0))

    def rows(self) -> list[TrafficRow]:
        """Return the table, the newest last."""
        return list(self._rows.values())

    def count(self, name: str, by: int = 1) -> None:
        self.counters[name] += by

    def refused(self, client: str, unit_id: int, pdu: bytes, what: str, role: str = "") -> None:
        """Note what the policy or a role refused; the log limits itself. `client`: its address; `role`: proved."""
        self.counters["refused_policy"] += 1
        _log.warning("request_refused peer=%s unit_id=%d function=%d what=%s", client, unit_id, pdu[0], what)
        self.write_refused(client, unit_id, pdu, what, role)

    def write_refused(self, client: str, unit_id: int, pdu: bytes, what: str, role: str = "") -> None:
        """Have it recorded if it is no read."""
        if not only_reads(pdu):
            target = f"unit {unit_id} function {pdu[0]}"
            if len(pdu) >= 3:
                target += f" address {int.from_bytes(pdu[1:3], 'big')}"
            self._refusals.refused(Origin(PROTOCOL, client, role), target, what)

    def asked(self, client: str, door: int, channel: str, unit: int, line_unit: int, pdu: bytes) -> TrafficRow:
        """Note a request; the caller notes on the row what became of it."""
        # address and count, where the function has them
        key = client, door, unit, pdu[:5]
        row = self._rows.get(key)
        if row is None:
            address, count = (
                (int.from_bytes(pdu[1:3], "big"), _count(pdu)) if 1 <= pdu[0] <= 23 and len(pdu) >= 5 else (-1, 0)
            )
            row = self._rows[key] = TrafficRow(client, door, channel, unit, line_unit, pdu[0], address, count)
            if len(self._rows) > ROWS_MOST:
                self._rows.popitem(last=False)
        else:
            self._rows.move_to_end(key)
        row.requests += 1
        row.last_utc_ns = self._clock.utc_ns()
        return row


def _count(pdu: bytes) -> int:
    return 1 if pdu[0] in (5, 6, 22) else int.from_bytes(pdu[3:5], "big")
