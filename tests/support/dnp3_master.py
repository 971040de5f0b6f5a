"""A master made of bytes: frames built and read with nothing of the code under test (bitwise CRC)."""

from collections.abc import Mapping, Sequence

import msgspec

from bridge.core.command import Mode
from bridge.projections.dnp3.controls import CommandStatus, Control
from bridge.projections.dnp3.link import LinkDecoder
from bridge.projections.dnp3.objects import PointType
from bridge.projections.dnp3.plan import MasterPlan, Permit
from bridge.projections.dnp3.session import OutstationSession
from bridge.projections.dnp3.table import PointConfig
from bridge.projections.dnp3.tables import PointTables

CLASS_0123 = "3c0206 3c0306 3c0406 3c0106"


def crc(data: bytes) -> bytes:
    value = 0
    for octet in data:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ 0xA6BC if value & 1 else value >> 1
    return (value ^ 0xFFFF).to_bytes(2, "little")


def link(user: bytes = b"", control: int = 0xC4, destination: int = 10, source: int = 1) -> bytes:
    head = bytes((5, 0x64, 5 + len(user), control)) + destination.to_bytes(2, "little")
    head += source.to_bytes(2, "little")
    out = head + crc(head)
    for at in range(0, len(user), 16):
        out += user[at : at + 16] + crc(user[at : at + 16])
    return out


def unlink(data: bytes) -> list[bytes]:
    """Return the user data of every frame; check every CRC."""
    found: list[bytes] = []
    while data:
        assert data[:2] == b"\x05\x64"
        assert data[8:10] == crc(data[:8])
        left, user, data = data[2] - 5, b"", data[10:]
        while left > 0:
            block = data[: min(16, left)]
            assert data[len(block) : len(block) + 2] == crc(block)
            user, left, data = user + block, left - len(block), data[len(block) + 2 :]
        found.append(user)
    return found


def fragments(chunks: Sequence[bytes]) -> list[bytes]:
    """Return the application fragments; check the transport sequence."""
    found: list[bytes] = []
    held = b""
    for user in unlink(b"".join(chunks)):
        if not user:
            continue
        held = user[1:] if user[0] & 0x40 else held + user[1:]
        if user[0] & 0x80:
            found.append(held)
    return found


class FakeBackend:
    def __init__(self) -> None:
        self.log: list[tuple[str, object]] = []
        self.refusals: list[tuple[str, str]] = []
        self.clock_ms = 1_700_000_000_000
        self.slow = False
        self.need = False

    def now_ms(self) -> int:
        return self.clock_ms

    def write_time(self, time_ms: int) -> bool:
        self.log.append(("time", time_ms))
        self.need = False
        return True

    def needs_time(self) -> bool:
        return self.need

    def refused(self, target: str, reason: str) -> None:
        self.refusals.append((target, reason))

    def control(self, control: Control, mode: Mode, ticket: int) -> CommandStatus | None:
        self.log.append(("select" if mode is Mode.SELECT else "operate", control))
        if self.slow:
            return None
        return CommandStatus.SUCCESS if control.index < 10 else CommandStatus.OUT_OF_RANGE


def make_tables(analogs: int = 20, counters: int = 10, binaries: int = 10) -> PointTables:
    return PointTables(
        {
            PointType.FROZEN_COUNTER: [PointConfig(i, static_variation=1) for i in range(counters)],
            PointType.ANALOG_INPUT: [PointConfig(i, event_class=2, deadband=1.0) for i in range(analogs)],
            PointType.COUNTER: [PointConfig(i, event_class=3) for i in range(counters)],
            PointType.BINARY_INPUT: [PointConfig(i, event_class=1) for i in range(binaries)],
        }
    )


class Master:
    """Ask one session; time is a number."""

    def __init__(
        self, tables: PointTables | None = None, about: Mapping[int, bytes] | None = None, **config: object
    ) -> None:
        self.tables = tables or make_tables()
        self.backend = FakeBackend()
        plan = msgspec.structs.replace(MasterPlan(permits=frozenset(Permit)), **config)
        self.session = OutstationSession(plan, self.tables, self.backend, about)
        self.now_s = 0.0
        self.sequence = 0
        self.decoder = LinkDecoder()
        self.hello = fragments(self.session.connected(self.now_s))

    def feed(self, data: bytes) -> list[bytes]:
        """Bytes of a connection in, frames out."""
        return self.session.receive(self.decoder.feed(data), self.now_s)

    def send(self, fragment: bytes, source: int = 1, destination: int = 10) -> list[bytes]:
        frame = link(b"\xc0" + fragment, source=source, destination=destination)
        return fragments(self.feed(frame))

    def ask(self, function: int, objects: str = "", step: int = 1) -> bytes:
        """Send a request with the next sequence; return the one answer, b"" for none."""
        self.sequence = (self.sequence + step) & 15
        answers = self.send(bytes((0xC0 | self.sequence, function)) + bytes.fromhex(objects))
        assert len(answers) <= 1
        return answers[0] if answers else b""

    def confirm(self, answer: bytes) -> list[bytes]:
        return self.send(bytes((0xC0 | (answer[0] & 0x1F), 0)))

    def read_all(self, objects: str) -> tuple[bytes, list[bytes]]:
        """Read with confirms; return all objects and the fragments."""
        answer = self.ask(1, objects)
        got = [answer]
        while answer[0] & 0x20:
            more = self.confirm(answer)
            if not more:
                break
            answer = more[0]
            got.append(answer)
        return b"".join(fragment[4:] for fragment in got), got

    def reconnect(self) -> None:
        self.session.disconnected()
        self.decoder = LinkDecoder()
        self.hello = fragments(self.session.connected(self.now_s))

    def tick(self, after_s: float) -> list[bytes]:
        self.now_s += after_s
        return fragments(self.session.tick(self.now_s))


def iin(answer: bytes) -> int:
    return answer[2] | answer[3] << 8
