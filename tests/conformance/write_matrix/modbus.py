"""Modbus: every write function at the start of the device's block, where its energies are."""

import socket
import struct
from collections.abc import Callable
from typing import Any

from bridge.modbus.frame import tcp_frame
from tests.conformance.write_matrix.entry import Attempt, Entry
from tests.support.bridge_site import RunningBridge

UNIT = 21


def modbus_ask(pdu: bytes) -> Callable[[RunningBridge, int], str]:
    """Return who sends a request PDU to the bridge's server and tells the reply in words."""

    def send(bridge: RunningBridge, port: int) -> str:
        del bridge
        return reply_words(port, pdu)

    return send


def reply_words(port: int, pdu: bytes) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock, sock.makefile("rb") as file:
        sock.sendall(tcp_frame(7, UNIT, pdu))
        reply = file.read(7)
        reply = file.read(struct.unpack(">H", reply[4:6])[0] - 1)
    return f"exception {reply[1]}" if reply[0] & 0x80 else "accepted"


def modbus_attempts() -> tuple[Attempt, ...]:
    """Every write function at the start of the device's block, where its energies are, and at its first coil."""
    words = struct.pack(">4H", 0, 0, 0, 1)
    pdus = {
        "5 write coil": struct.pack(">BHH", 5, 0, 0xFF00),
        "6 write register": struct.pack(">BHH", 6, 0, 1),
        "15 write coils": struct.pack(">BHHBB", 15, 0, 1, 1, 1),
        "16 write registers": struct.pack(">BHHB", 16, 0, 4, 8) + words,
        "21 write file record": bytes((21, 9, 6, 0, 1, 0, 0, 0, 1, 0, 1)),
        "22 mask write": struct.pack(">BHHH", 22, 0, 0, 1),
        "23 read and write": struct.pack(">BHHHHB", 23, 0, 1, 0, 4, 8) + words,
    }
    return tuple(
        Attempt(
            f"modbus {name}",
            modbus_ask(pdu),
            "exception",
            (f"unit {UNIT} function {pdu[0]}", "landlord.reset_demand_peak"),
        )
        for name, pdu in pdus.items()
    )


def modbus_mapping(port: int) -> dict[str, Any]:
    return {"listener": {"port": port, "bind": "127.0.0.1"}, "access": "read-write", "units": {"landlord": UNIT}}


ENTRY = Entry("modbus", modbus_mapping, modbus_attempts())
