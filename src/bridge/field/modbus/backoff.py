"""When a silent device is asked again, and how long it may take to answer. Pure."""

from enum import Enum

_SECOND_NS = 1_000_000_000
# s; first pause, and the longest one
_FIRST_S, _LONGEST_S = 2.0, 300.0
# s; longest pause of the first minutes: a meter communicates 40 s after power comes back (seed 004, l.9247-9256)
_EARLY_LONGEST_S, _EARLY_S = 10.0, 180.0
# s; pause while the port or the connection itself is gone: that costs no line time
_UNPLUGGED_S = 2.0
# Share of the line that all silent devices together may cost the others, with reserve to a tenth.
_SHARE = 0.08
# s; no device is given less time to answer
_SHORTEST_TIMEOUT_S = 0.1
# Every so many probes wait the device's whole time-out, for one that answers slowly.
_PATIENT_EVERY = 4


class Why(Enum):
    """Why a device is taken for lost."""

    SILENT = "silent"
    UNPLUGGED = "unplugged"


class BackOff:
    """Pauses 2 s, 4 s, 8 s, then 10 s for three minutes, then doubling up to 5 minutes."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._since_ns = 0
        self._pause_s = _FIRST_S
        self._probes = 0

    def start(self, now_ns: int) -> int:
        """The device was lost at `now_ns`; return when to probe it first."""
        self._since_ns, self._pause_s, self._probes = now_ns, _FIRST_S, 0
        return now_ns + round(_FIRST_S * _SECOND_NS)

    def failed(self, now_ns: int, why: Why) -> int:
        """A probe failed; return when to probe again."""
        if why is Why.UNPLUGGED:
            return now_ns + round(_UNPLUGGED_S * _SECOND_NS)
        early = now_ns - self._since_ns < _EARLY_S * _SECOND_NS
        self._pause_s = min(2 * self._pause_s, _EARLY_LONGEST_S if early else _LONGEST_S)
        return now_ns + round(self._pause_s * _SECOND_NS)

    def probe_timeout_s(self, silent: int) -> float:
        """Return the time-out of the next probe. `silent`: devices of the line that are silent, this one included."""
        self._probes += 1
        share_s = self._pause_s * _SHARE / max(silent, 1)
        if self._probes % _PATIENT_EVERY == 0:
            # what the three others did not use of their share
            share_s *= _PATIENT_EVERY
        return min(self._timeout_s, max(share_s, _SHORTEST_TIMEOUT_S))
