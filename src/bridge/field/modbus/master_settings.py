"""What the RTU master of a line has to know of the line."""

import enum
from dataclasses import dataclass

from bridge.modbus.timing import LineTiming


class Echo(enum.Enum):
    """Whether a two-wire adapter hears its own transmission."""

    NONE = "none"
    LOCAL = "local"


class Nap(enum.Enum):
    """Whether to look away while the rest of a reply is on its way."""

    NEVER = "never"
    BETWEEN_BYTES = "between bytes"


@dataclass(frozen=True, slots=True)
class MasterSettings:
    """Of one line."""

    channel: str
    timing: LineTiming
    echo: Echo = Echo.NONE
    nap: Nap = Nap.BETWEEN_BYTES
    # s; how long after a time-out a device may still answer
    late_s: float = 0.5
    # s; silence after a broadcast (Modbus over Serial Line V1.02, 2.4.1: typically 100 to 200 ms)
    broadcast_s: float = 0.1
    # s; silence before we transmit, beyond t3.5: transceivers of slow devices turn round ("RTS delay")
    transmit_delay_s: float = 0.0
    # s; between two attempts to open the port
    reopen_s: float = 0.2
