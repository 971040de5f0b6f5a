"""Where the demo listens, and what it offers to try."""

from dataclasses import dataclass

# First port of the demo's range, and the place of each server in it: the last digits of its well-known port.
DEFAULT_PORT_BASE = 10000
PORT_OFFSETS = {
    "modbus": 502,
    "gateway": 503,
    "bacnet": 808,
    "snmp": 161,
    "iec61850": 102,
    "dnp3": 200,
    "opcua": 840,
    "ethergate": 801,
    "web": 443,
}
CONTROL_OFFSET = 80
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Offer:
    """One line of the demo's table: what listens where, and what to try."""

    name: str
    address: str
    tries: tuple[str, ...]
