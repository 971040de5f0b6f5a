"""SNMP: SET with net-snmp."""

import subprocess
from collections.abc import Callable
from typing import Any

from tests.conformance.write_matrix.entry import Attempt, Entry
from tests.support.bridge_site import RunningBridge

# docs/protocols/snmp.md: scalars and tables below the enterprise's arc; 1.3.6.1.2.1.1.4.0 is sysContact
MB = "1.3.6.1.4.1.8072.9999.9999.7411.1.1"


def snmp_set(oid: str, kind: str, value: str) -> Callable[[RunningBridge, int], str]:
    def send(bridge: RunningBridge, port: int) -> str:
        del bridge
        words = ["snmpset", "-v2c", "-c", "private", "-t", "2", "-r", "0", "-On", f"127.0.0.1:{port}", oid, kind, value]
        done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
        return f"status {min(done.returncode, 2)} {done.stderr}"

    return send


def snmp_attempts() -> tuple[Attempt, ...]:
    # rows of mbPointTable: 30 resets the peak, 47 is the demand interval, 1 an energy
    rows = {30: "a command", 47: "a setting", 1: "an energy"}
    names = {"sysContact": ("1.3.6.1.2.1.1.4.0", "s", "me"), "a device's name": (f"{MB}.2.1.2.1", "s", "x")}
    names |= {f"the value of {what}": (f"{MB}.3.1.4.1.{row}", "s", "5") for row, what in rows.items()}
    names |= {f"the scaled value of {what}": (f"{MB}.3.1.5.1.{row}", "i", "5000") for row, what in rows.items()}
    names["the command by its state"] = (f"{MB}.3.1.4.1.30", "s", "Reset")
    return tuple(
        Attempt(f"snmp SET {name}", snmp_set(oid, kind, value), "Reason", (f"oid {oid}", "landlord."))
        for name, (oid, kind, value) in names.items()
    )


def snmp_mapping(port: int) -> dict[str, Any]:
    communities = {"writer": {"community": "private", "access": "read-write"}}
    return {"listener": {"port": port, "bind": "127.0.0.1"}, "communities": communities, "access": "read-write"}


ENTRY = Entry("snmp", snmp_mapping, snmp_attempts())
