"""
The write matrix (BARS S1, S2): every kind of write of every protocol against a bridge that nobody configured.

Each is refused in the protocol's own terms, changes nothing in the meter, and is in the audit. A new protocol adds one
entry to PROTOCOLS: how its mapping file looks, and the attempts a client of it can make.
"""

import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.modbus.frame import tcp_frame
from tests.support.bridge_site import OPENED, RunningBridge, running_bridge, site_files

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(120)]
FIRST_PORT, SIMULATOR_PORT = 27010, 27030
SETTLE_S = 10.0


@dataclass(frozen=True)
class Attempt:
    """One write. `send` returns what the client was told; it must contain `told`. `target`: how what the
    audit names begins: the point if the write became a command, else the item in the words of the protocol."""

    name: str
    send: Callable[[RunningBridge, int], str]
    told: str
    target: tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One protocol. `mapping`: its file for a listener on a port, with everything open that its mapping can open."""

    protocol: str
    mapping: Callable[[int], dict[str, Any]]
    attempts: tuple[Attempt, ...]


# --- Modbus ----------------------------------------------------------------------------------------------------------
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


# --- the command line ------------------------------------------------------------------------------------------------


def cli_attempt(point: str, value: str, told: str) -> Attempt:
    def send(bridge: RunningBridge, port: int) -> str:
        del port
        done = bridge.write(f"landlord.{point}", value)
        assert done.returncode == 1
        return done.stderr

    return Attempt(f"cli write {point}", send, told, (f"landlord.{point}",))


CLI = (
    *(cli_attempt(point, "1", "refused_by_policy") for point in OPENED),
    cli_attempt("active_energy_import", "0", "not_writable"),
    cli_attempt("ct_primary_rating", "100", "not_writable"),
)

PROTOCOLS: tuple[Entry, ...] = (
    Entry("modbus", modbus_mapping, modbus_attempts()),
    Entry("cli", lambda port: {}, CLI),
)
ATTEMPTS = [
    pytest.param(at, attempt, id=attempt.name) for at, entry in enumerate(PROTOCOLS) for attempt in entry.attempts
]


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    mappings = {
        entry.protocol: mapping for at, entry in enumerate(PROTOCOLS) if (mapping := entry.mapping(FIRST_PORT + at))
    }
    site = site_files(tmp_path_factory.mktemp("matrix") / "site", None, mappings)
    with running_bridge(site, SIMULATOR_PORT) as running:
        yield running


@pytest.mark.parametrize(("at", "attempt"), ATTEMPTS)
def test_out_of_the_box_it_is_refused_changes_nothing_and_is_audited(
    bridge: RunningBridge, at: int, attempt: Attempt
) -> None:
    # BARS S1, S2
    names = (
        "demand_interval",
        "display_backlight_timeout",
        "overload_threshold",
        "modbus_address",
        "ct_primary_rating",
    )
    before = {name: bridge.value(f"landlord.{name}") for name in names}
    energy = float(bridge.value("landlord.active_energy_import"))

    assert attempt.told in attempt.send(bridge, FIRST_PORT + at)

    assert {name: bridge.value(f"landlord.{name}") for name in names} == before
    assert float(bridge.value("landlord.active_energy_import")) >= energy
    assert audited(bridge, attempt, PROTOCOLS[at].protocol)


def test_the_audit_of_all_that_is_whole(bridge: RunningBridge) -> None:
    # BARS S6
    done = bridge.cli("audit", "verify", str(bridge.site.parent))

    assert (done.returncode, done.stderr) == (0, "")
    assert "are whole" in done.stdout


def audited(bridge: RunningBridge, attempt: Attempt, protocol: str) -> bool:
    """Wait until a record names the attempt, and check that none says it was carried out."""
    until = time.monotonic() + SETTLE_S
    while time.monotonic() < until:
        mine = [r for r in bridge.audit() if r["protocol"] == protocol and r["target"].startswith(attempt.target)]
        if mine:
            assert not {r["result"] for r in mine} & {"started", "done"}
            return True
        time.sleep(0.1)
    return False


def test_the_matrix_names_every_protocol_there_is() -> None:
    folders = {path.name for path in (Path(__file__).parents[2] / "src/bridge/projections").iterdir() if path.is_dir()}

    assert folders - {"__pycache__"} - {entry.protocol for entry in PROTOCOLS} <= NOT_YET


# Protocols that have landed without their entry: each owes one.
NOT_YET = frozenset({"bacnet", "dnp3", "iec61850", "opcua", "snmp"})
