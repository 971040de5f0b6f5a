"""The gateway: the meter's own registers, with a mapping that lets everything pass."""

from typing import Any

from tests.conformance.write_matrix.entry import Attempt, Entry
from tests.conformance.write_matrix.modbus import UNIT, modbus_ask, modbus_attempts


def gateway_mapping(port: int) -> dict[str, Any]:
    everything = [{"access": "allow", "units": ["0-248"]}]
    return {"listener": {"port": port, "bind": "127.0.0.1"}, "policy": everything}


def gateway_attempts() -> tuple[Attempt, ...]:
    """As for the Modbus server, and functions nobody knows; the core refuses them, whatever the mapping says."""
    pdus = {attempt.name.replace("modbus", "gateway"): attempt for attempt in modbus_attempts()}
    known = tuple(Attempt(name, a.send, a.told, (f"board unit {UNIT}", *a.target)) for name, a in pdus.items())
    unknown = bytes((100, 4, 1))
    return (*known, Attempt("gateway 100", modbus_ask(unknown), "exception", (f"board unit {UNIT}",)))


ENTRY = Entry("gateway", gateway_mapping, gateway_attempts())
