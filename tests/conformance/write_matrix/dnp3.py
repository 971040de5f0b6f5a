"""DNP3: functions 2 to 14 and 25 to 30, by a master made of bytes."""

import socket
import struct
from collections.abc import Callable
from typing import Any

from tests.conformance.write_matrix.entry import Attempt, Entry
from tests.support import dnp3_master
from tests.support.bridge_site import RunningBridge

_NO_FUNCTION, _PARAM_ERROR, _OBJECT_UNKNOWN = 1, 4, 2
# CROB: latch on, once; analog output as a float
_CROB = bytes((12, 1, 0x28, 1, 0, 0, 0, 3, 1)) + bytes(9)
_ANALOG = bytes((41, 3, 0x28, 1, 0, 0, 0)) + struct.pack("<f", 5.0) + b"\0"


def dnp3_words(sock: socket.socket, sequence: int, function: int, body: bytes) -> str:
    """Send one request and say what the answer means."""
    sock.sendall(dnp3_master.link(bytes((0xC0 | sequence, 0xC0 | sequence, function)) + body))
    sock.settimeout(2)
    try:
        data = sock.recv(4096)
    except TimeoutError:
        return "refused: no reply"
    answers = [a for a in dnp3_master.fragments([data]) if a[1] == 129]
    if not answers:
        return "refused: no reply"
    answer = answers[0]
    if answer[3] & (_NO_FUNCTION | _PARAM_ERROR | _OBJECT_UNKNOWN):
        return "refused: IIN"
    return f"refused: status {answer[-1]}" if len(answer) > 4 and answer[-1] else "accepted"


def dnp3_ask(function: int, body: bytes) -> Callable[[RunningBridge, int], str]:
    def send(bridge: RunningBridge, port: int) -> str:
        del bridge
        with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            return dnp3_words(sock, 0, function, body)

    return send


def dnp3_select_operate(body: bytes) -> Callable[[RunningBridge, int], str]:
    def send(bridge: RunningBridge, port: int) -> str:
        del bridge
        with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            dnp3_words(sock, 0, 3, body)
            return dnp3_words(sock, 1, 4, body)

    return send


def dnp3_attempts() -> tuple[Attempt, ...]:
    time_, deadband = bytes((50, 1, 7, 1)) + bytes(6), bytes((34, 1, 0x17, 1, 0, 1, 0))
    frozen, file_ = bytes((20, 0, 6)), bytes((70, 3, 0x5B, 1, 0, 0))
    told: dict[str, tuple[int, bytes]] = {"2 write time": (2, time_), "2 write deadband": (2, deadband)}
    for function, name in ((5, "direct"), (6, "direct without answer")):
        told |= {f"{function} {name} binary": (function, _CROB), f"{function} {name} analog": (function, _ANALOG)}
    told |= {f"{function} freeze": (function, frozen) for function in range(7, 13)}
    told |= {"13 cold restart": (13, b""), "14 warm restart": (14, b"")}
    told |= {f"{function} file": (function, file_) for function in range(25, 31)}
    controls = (("binary", _CROB), ("analog", _ANALOG))
    selects = [
        Attempt(f"dnp3 3 select {name}", dnp3_ask(3, body), "refused: status 9", ("landlord.",))
        for name, body in controls
    ]
    # what was not selected is not operated: status 2
    selects += [
        Attempt(f"dnp3 3 select {name}, then operate", dnp3_select_operate(body), "refused: status 2", ("landlord.",))
        for name, body in controls
    ]
    others = [
        Attempt(f"dnp3 {name}", dnp3_ask(function, body), "refused", ("function", "landlord."))
        for name, (function, body) in told.items()
    ]
    return (*selects, *others)


def dnp3_mapping(port: int) -> dict[str, Any]:
    masters = [{"address": 1, "outstation": 10, "networks": ["127.0.0.0/8"], "allow": ["control"]}]
    return {"listener": {"port": port, "bind": "127.0.0.1"}, "masters": masters, "access": "read-write"}


ENTRY = Entry("dnp3", dnp3_mapping, dnp3_attempts())
