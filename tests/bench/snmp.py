"""
`python -m tests.bench snmp`: P4, CPU per request of our agent beside snmpd with the same table.

All servers stand on one core and are asked in turn, so that what the machine does meanwhile falls on all; the client
has the other core. CPU is what the scheduler counted for the server's threads, socket calls included.
"""

import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bridge.projections.snmp.ber import encode_integer, encode_oid, enter, read_integer, tlv
from bridge.projections.snmp.settings import Auth, Privacy
from bridge.projections.snmp.usm import User, UserConfig
from bridge.projections.snmp.v3 import parse_message
from bridge.projections.snmp.views import NOTHING, Grant
from tests.bench.snmp_agent import COLUMNS, DEVICES, POINTS
from tests.bench.table import Table

PORTS = {"ours": 21190, "changing": 21191, "snmpd": 21192}
ROUNDS = 9
SOURCE = Path(__file__).with_name("snmp_peer.c")
ENTRY = (1, 3, 6, 1, 4, 1, 8072, 9999, 9999, 7411, 1, 1, 3, 1)
KEYS = [(*ENTRY, c, d, p) for c in sorted(COLUMNS) for d in range(1, DEVICES + 1) for p in range(1, POINTS + 1)]
GET, GETNEXT, GETBULK = 0xA0, 0xA1, 0xA5
OPS = UserConfig(b"ops", Auth.SHA256, b"authpass123", Grant(NOTHING), Privacy.AES128, b"privpass123")
Requests = list[bytes]
# P4: our CPU by snmpd's, with values changing
TARGETS = {"v3 GET 1": 1.2, "v3 GETBULK 50": 1.2}


def pdu(kind: int, first: int, second: int, names: list[tuple[int, ...]]) -> bytes:
    binds = b"".join(tlv(0x30, tlv(6, encode_oid(name)) + b"\x05\x00") for name in names)
    return tlv(kind, encode_integer(7) + encode_integer(first) + encode_integer(second) + tlv(0x30, binds))


def v2c(kind: int, first: int, second: int, names: list[tuple[int, ...]]) -> bytes:
    return tlv(0x30, encode_integer(1) + tlv(4, b"public") + pdu(kind, first, second, names))


def v3(engine_id: bytes, boots: int, time_s: int, user: User | None, body: bytes) -> bytes:
    scoped = tlv(0x30, tlv(4, engine_id) + b"\x04\x00" + body)
    salt = b"" if user is None else random.randbytes(8)
    if user is not None:
        scoped = tlv(4, user.encrypt(scoped, boots, time_s, salt))
    digest = b"" if user is None else bytes(user.digest_bytes)
    name = b"" if user is None else user.name
    inner = tlv(4, engine_id) + encode_integer(boots) + encode_integer(time_s)
    usm = tlv(0x30, inner + tlv(4, name) + tlv(4, digest) + tlv(4, salt))
    flags = 4 if user is None else 7
    header = tlv(0x30, encode_integer(5) + encode_integer(65507) + bytes((4, 1, flags, 2, 1, 3)))
    whole = tlv(0x30, b"\x02\x01\x03" + header + tlv(4, usm) + scoped)
    if user is None:
        return whole
    at = len(whole) - len(scoped) - len(salt) - 2 - len(digest)
    return whole[:at] + user.sign(whole) + whole[at + len(digest) :]


def sealed(sock: socket.socket, bodies: list[bytes]) -> Requests:
    """Discover the engine; return the requests of its user."""
    sock.send(v3(b"", 0, 0, None, pdu(GET, 0, 0, [])))
    report = sock.recv(65535)
    at, end = enter(report, 0, len(report), 0x30)
    message = parse_message(report, read_integer(report, at, end)[1])
    assert message is not None
    user = User(OPS, message.engine_id)
    return [v3(message.engine_id, message.boots, message.time_s, user, body) for body in bodies]


def some(count: int) -> list[tuple[int, ...]]:
    return [KEYS[random.randrange(len(KEYS) - 60)] for _ in range(count)]


def walk(kind: int, step: int) -> Callable[[socket.socket], Requests]:
    names = [(*ENTRY,), *KEYS[step - 1 :: step]]
    return lambda _: [v2c(kind, 0, step, [name]) for name in names]


OPERATIONS: Mapping[str, Callable[[socket.socket], Requests]] = {
    "GET 1": lambda _: [v2c(GET, 0, 0, [name]) for name in some(1000)],
    "GET 10": lambda _: [v2c(GET, 0, 0, some(10)) for _ in range(500)],
    "GETNEXT": lambda _: [v2c(GETNEXT, 0, 0, [name]) for name in some(1000)],
    "GETBULK 50": lambda _: [v2c(GETBULK, 0, 50, [name]) for name in some(500)],
    "GETBULK 8 columns x 6": lambda _: [v2c(GETBULK, 0, 6, [(*ENTRY, c, 5, 1) for c in sorted(COLUMNS)])] * 400,
    "walk, 25 at a time, per 1000 rows": walk(GETBULK, 25),
    "v3 GET 1": lambda sock: sealed(sock, [pdu(GET, 0, 0, [name]) for name in some(500)]),
    "v3 GETBULK 50": lambda sock: sealed(sock, [pdu(GETBULK, 0, 50, [name]) for name in some(300)]),
}


def cpu_us(pid: int) -> float:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1000


@contextmanager
def started(arguments: list[str], cores: set[int], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **environment}
    )
    try:
        os.sched_setaffinity(process.pid, cores)
        yield process
    finally:
        process.terminate()
        process.wait()


def snmpd(folder: Path) -> list[str]:
    """Build the table for it; return its command. Raises: subprocess.CalledProcessError, FileNotFoundError."""
    module = folder / "snmp_peer.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", str(SOURCE), "-o", str(module)], check=True)
    configuration = folder / "snmpd.conf"
    configuration.write_text(
        f"dlmod snmp_peer {module}\nrocommunity public 127.0.0.1\n"
        "createUser ops SHA-256 authpass123 AES privpass123\nrouser ops authpriv\n"
    )
    program = shutil.which("snmpd", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "snmpd"
    at = f"127.0.0.1:{PORTS['snmpd']}"
    return [program, "-f", "-C", "-c", str(configuration), "-I", "-smux", "-p", str(folder / "pid"), at]


def answering(port: int) -> socket.socket:
    """Return a socket to a server once it answers."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("127.0.0.1", port))
    sock.settimeout(0.2)
    for _ in range(100):
        try:
            sock.send(v2c(GET, 0, 0, [KEYS[0]]))
            sock.recv(65535)
        except OSError:
            time.sleep(0.05)
            continue
        sock.settimeout(5)
        return sock
    raise TimeoutError(f"port {port} does not answer")


def measure(pids: Mapping[str, int]) -> dict[tuple[str, str], list[float]]:
    """CPU us per request (per 1000 rows for the walk), one figure per round."""
    random.seed(20_261_120)
    socks = {name: answering(PORTS[name]) for name in pids}
    found: dict[tuple[str, str], list[float]] = {}
    for number in range(ROUNDS):
        for operation, make in OPERATIONS.items():
            for name in list(pids)[:: 1 if number % 2 else -1]:
                sock = socks[name]
                requests = make(sock)
                before = cpu_us(pids[name])
                for request in requests:
                    sock.send(request)
                    sock.recv(65535)
                spent = cpu_us(pids[name]) - before
                share = len(KEYS) / 1000 if operation.startswith("walk") else len(requests)
                found.setdefault((operation, name), []).append(spent / share)
    return found


def run() -> Table:
    cores = sorted(os.sched_getaffinity(0))
    with ExitStack() as stack, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        theirs = {"SNMP_PERSISTENT_DIR": name, "MIBS": ""}
        commands = {
            kind: [sys.executable, "-m", "tests.bench.snmp_agent", str(PORTS[kind]), kind]
            for kind in ("ours", "changing")
        }
        commands["snmpd"] = snmpd(folder)
        pids = {
            kind: stack.enter_context(started(command, {cores[-1]}, theirs)).pid for kind, command in commands.items()
        }
        os.sched_setaffinity(0, {cores[0]})
        found = measure(pids)
    rows = []
    for operation in OPERATIONS:
        kept, changing, peer = (statistics.median(found[operation, name]) for name in ("ours", "changing", "snmpd"))
        ratios = sorted(a / b for a, b in zip(found[operation, "changing"], found[operation, "snmpd"], strict=True))
        figures = [f"{kept:.0f}", f"{changing:.0f}", f"{peer:.0f}", f"{kept / peer:.2f}"]
        target = TARGETS.get(operation, 1.0)
        rows.append([operation, *figures, f"{statistics.median(ratios):.2f}", f"{target:g}"])
    return Table(
        "SNMP agent: CPU per request beside snmpd (P4)",
        ("operation", "ours, us", "all values changed, us", "snmpd, us", "ratio", "ratio, changed", "target"),
        rows,
        f"{len(KEYS)} rows; {ROUNDS} rounds, medians; servers in turn on one core, the client on the other. Ours stands"
        " behind the guard, on uvloop. snmpd 5.9 holds the same table in a module (`table_container`).",
    )


if __name__ == "__main__":
    print(run().markdown())
