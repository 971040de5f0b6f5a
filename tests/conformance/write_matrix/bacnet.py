"""BACnet: every service that changes something."""

import socket
from collections.abc import Callable
from typing import Any

from tests.conformance.write_matrix.entry import Attempt, Entry
from tests.support import bacnet_client as bacnet
from tests.support.bridge_site import RunningBridge


def bacnet_mapping(port: int) -> dict[str, Any]:
    return {"listener": {"port": port, "bind": "127.0.0.1"}, "device_id": 1001, "writable": True}


def bacnet_ask(service: int, body: bytes) -> Callable[[RunningBridge, int], str]:
    """Return who sends a confirmed request and tells the kind of the reply."""

    def send(bridge: RunningBridge, port: int) -> str:
        del bridge
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.sendto(bacnet.confirmed(1, service, body), ("127.0.0.1", port))
            kind = sock.recv(1500)[6] >> 4
        return {2: "accepted", 3: "accepted", 5: "error", 6: "rejected", 7: "aborted"}[kind]

    return send


def bacnet_attempts() -> tuple[Attempt, ...]:
    """Every service that changes something: the first energy, the first output, the device itself."""
    energy, output, command = (23, 1), (1, 1), (4, 1)
    real, active = b"\x44\x42\xc8\x00\x00", b"\x91\x01"
    writes = {
        "15 write energy": (15, bacnet.write(*energy, 85, b"\x21\x00"), "landlord."),
        "15 write output": (15, bacnet.write(*output, 85, real, 8), "landlord."),
        "15 write command": (15, bacnet.write(*command, 85, active), "landlord."),
        "15 write name": (15, bacnet.write(8, 1001, 77, b"\x72\x00x"), "device 1001"),
        "16 write multiple": (16, bacnet.write_many(*energy, 85, b"\x21\x00"), "landlord."),
    }
    refused = [
        Attempt(f"bacnet {n}", bacnet_ask(service, body), "error", (t,)) for n, (service, body, t) in writes.items()
    ]
    managed = {
        "17 communication": (17, b"\x09\x01\x19\x01", "communication_control"),
        "20 reinitialize": (20, b"\x09\x01", "reinitialize"),
    }
    refused += [
        Attempt(f"bacnet {n}", bacnet_ask(service, body), "error", (t,)) for n, (service, body, t) in managed.items()
    ]
    unknown = {
        7: "AtomicWriteFile",
        8: "AddListElement",
        9: "RemoveListElement",
        10: "CreateObject",
        11: "DeleteObject",
    }
    body = b"\x0c\x00\x00\x00\x01"
    refused += [Attempt(f"bacnet {s} {n}", bacnet_ask(s, body), "rejected", (n,)) for s, n in unknown.items()]
    return tuple(refused)


ENTRY = Entry("bacnet", bacnet_mapping, bacnet_attempts())
