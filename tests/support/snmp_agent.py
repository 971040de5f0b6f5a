"""An agent with a small tree, and a manager that writes requests by hand."""

from collections.abc import Sequence
from pathlib import Path

from bridge.projections.snmp.agent import Agent
from bridge.projections.snmp.ber import (
    Oid,
    Syntax,
    Value,
    encode_integer,
    encode_oid,
    enter,
    read_integer,
    read_octets,
    tlv,
)
from bridge.projections.snmp.counters import Counters
from bridge.projections.snmp.mib2 import SystemGroup, mib2_tables
from bridge.projections.snmp.oidtree import Change, Instance, Instances, ObjectType, Table, Tree, Unfit
from bridge.projections.snmp.pdu import GET, ErrorStatus
from bridge.projections.snmp.responder import Responder, Sealed
from bridge.projections.snmp.settings import Auth, Privacy
from bridge.projections.snmp.usm import EngineClock, User, UserConfig
from bridge.projections.snmp.v3 import V3, Message, parse_message
from bridge.projections.snmp.views import Community, Grant, Inclusion, SecurityLevel, Subtree, View

ROOT: Oid = (1, 3, 6, 1, 4, 1, 8072, 9999, 9999, 7411, 1)
NAME, POWER, ENERGY, LIMIT, SECRET = ((*ROOT, 2, 1, column) for column in range(1, 6))
ENGINE_ID = bytes.fromhex("8000000001020304")
NULL = b"\x05\x00"
INTERNET = Subtree((1, 3, 6, 1))
READ = View((INTERNET, Subtree(SECRET, Inclusion.EXCLUDED)))
WRITE = View((Subtree(LIMIT), Subtree(NAME)))
Varbind = tuple[Oid, bytes]


class Bench:
    """Meters 1 to 3; meter 2 has no power; the clock stands until it is moved."""

    def __init__(self, folder: Path, max_message: int = 1472, meters: int = 3) -> None:
        self.now_ns = 5_000_000_000
        self.powers: dict[int, int | None] = {meter: -100 * meter for meter in range(1, meters + 1)}
        self.powers[2] = None
        self.limits = dict.fromkeys(self.powers, 7)
        self.reads = 0
        self.table = Table(
            [
                ObjectType(NAME, Syntax.OCTET_STRING, lambda meter: b"M%d" % meter),
                ObjectType(POWER, Syntax.INTEGER32, self._power),
                ObjectType(ENERGY, Syntax.COUNTER64, lambda meter: 2**40 + meter),
                ObjectType(
                    LIMIT,
                    Syntax.INTEGER32,
                    lambda meter: self.limits[meter],
                    writable=lambda _: True,
                    change=_change,
                ),
                ObjectType(SECRET, Syntax.INTEGER32, lambda meter: 42),
            ],
            Instances([Instance((meter,), meter) for meter in self.powers]),
        )
        self.counters = Counters()
        self.clock = EngineClock(folder / "boots", lambda: self.now_ns)
        self.responder = Responder(self.counters)
        users = [
            UserConfig(b"ops", Auth.SHA256, b"authpass1", Grant(READ, WRITE), Privacy.AES128, b"privpass1"),
            UserConfig(b"big", Auth.SHA512, b"authpass1", Grant(READ), Privacy.AES256, b"privpass1"),
            UserConfig(b"look", Auth.SHA384, b"authpass1", Grant(READ, level=SecurityLevel.AUTH)),
        ]
        self.users = {user.name: User(user, ENGINE_ID) for user in users}
        v3 = V3(ENGINE_ID, self.clock, users, self.counters, self.responder, max_message)
        communities = [Community(b"public", Grant(READ), "reader"), Community(b"private", Grant(READ, WRITE), "writer")]
        self.agent = Agent(self.counters, self.responder, communities, v3, max_message)
        system = SystemGroup(b"bridge", (1, 3, 6, 1, 4, 1, 8072), b"contact", b"name", b"place")
        self.tree = Tree([*mib2_tables(system, ENGINE_ID, self.clock, self.counters), self.table])
        self.agent.show(self.tree)

    def _power(self, meter: int) -> int | None:
        self.reads += 1
        return self.powers[meter]

    def handle(self, message: bytes, peer: str = "127.0.0.1") -> bytes | None:
        """Give the agent a datagram; carry out what it sets. 666 is what every meter refuses."""
        answer = self.agent.handle(message, peer)
        if not isinstance(answer, Sealed):
            return answer
        for at, change in enumerate(answer.pending.changes):
            assert isinstance(change.value, int)
            if change.value == 666:
                return answer.finish(*((ErrorStatus.UNDO_FAILED, 0) if at else (ErrorStatus.COMMIT_FAILED, 1)))
            self.limits[change.index] = change.value
            self.tree.changed(self.table, change.index)
        return answer.finish(ErrorStatus.NO_ERROR, 0)

    def ask(self, kind: int, *names: Oid, first: int = 0, second: int = 0, version: int = 1) -> "Reply":
        return self.send(kind, [(name, NULL) for name in names], first=first, second=second, version=version)

    def send(
        self, kind: int, varbinds: Sequence[Varbind], first: int = 0, second: int = 0, version: int = 1,
        community: bytes = b"public",
    ) -> "Reply":  # fmt: skip
        message = v2c(kind, varbinds, first, second, version, community)
        answer = self.handle(message)
        assert answer is not None
        return Reply(answer)

    def v3(
        self, user: bytes, level: int, pdu_octets: bytes, max_size: int = 65507, boots: int | None = None,
        time_s: int | None = None, flags: int = 4, engine_id: bytes = ENGINE_ID, context: bytes = b"",
    ) -> bytes:  # fmt: skip
        keys = self.users.get(user)
        boots = self.clock.boots if boots is None else boots
        time_s = self.clock.time_s() if time_s is None else time_s
        scoped = tlv(0x30, tlv(4, engine_id) + tlv(4, context) + pdu_octets)
        salt = b"saltsalt" if level == 3 else b""
        if level == 3 and keys is not None:
            scoped = tlv(4, keys.encrypt(scoped, boots, time_s, salt))
        digest = bytes(keys.digest_bytes) if keys is not None and level else b""
        usm = tlv(4, engine_id) + encode_integer(boots) + encode_integer(time_s) + tlv(4, user)
        usm = tlv(0x30, usm + tlv(4, digest) + tlv(4, salt))
        header = encode_integer(99) + encode_integer(max_size) + bytes((4, 1, level | flags, 2, 1, 3))
        whole = tlv(0x30, b"\x02\x01\x03" + tlv(0x30, header) + tlv(4, usm) + scoped)
        if keys is None or not digest:
            return whole
        at = len(whole) - len(scoped) - len(salt) - 2 - len(digest)
        return whole[:at] + keys.sign(whole) + whole[at + len(digest) :]

    def open(self, answer: bytes | None) -> tuple[Message, "Reply"]:
        """Check the digest, decrypt."""
        assert answer is not None
        at, end = enter(answer, 0, len(answer), 0x30)
        message = parse_message(answer, read_integer(answer, at, end)[1])
        assert message is not None
        scoped = message.scoped
        if message.level:
            user = self.users[message.user]
            assert user.genuine(answer, message.digest_at)
            if message.level == 3:
                start, stop = enter(scoped, 0, len(scoped), 4)
                scoped = user.decrypt(scoped[start:stop], message.boots, message.time_s, message.salt)
        at, end = enter(scoped, 0, len(scoped), 0x30)
        _, at = read_octets(scoped, at, end, 32)
        _, at = read_octets(scoped, at, end, 32)
        return message, Reply(scoped, at)


class Reply:
    """status, index and varbinds as (name contents, value TLV)."""

    def __init__(self, data: bytes, at: int = -1) -> None:
        self.size = len(data)
        if at < 0:
            at, end = enter(data, 0, len(data), 0x30)
            self.version, at = read_integer(data, at, end)
            self.community, at = read_octets(data, at, end, 32)
        self.kind = data[at]
        at, end = enter(data, at, len(data), data[at])
        self.request_id, at = read_integer(data, at, end)
        self.status, at = read_integer(data, at, end)
        self.index, at = read_integer(data, at, end)
        at, end = enter(data, at, end, 0x30)
        self.varbinds: list[tuple[bytes, bytes]] = []
        while at < end:
            at, stop = enter(data, at, end, 0x30)
            name, after = enter(data, at, stop, 6)
            self.varbinds.append((data[name:after], data[after:stop]))
            at = stop

    @property
    def values(self) -> list[bytes]:
        return [value for _, value in self.varbinds]

    @property
    def names(self) -> list[bytes]:
        return [name for name, _ in self.varbinds]


def _change(meter: int, value: Value) -> Change | Unfit:
    assert isinstance(value, int)
    return Unfit.VALUE if value == 13 else Change(meter, value)


def pdu(kind: int, varbinds: Sequence[Varbind], first: int = 0, second: int = 0) -> bytes:
    body = b"".join(tlv(0x30, tlv(6, encode_oid(name)) + value) for name, value in varbinds)
    return tlv(kind, encode_integer(7) + encode_integer(first) + encode_integer(second) + tlv(0x30, body))


def v2c(
    kind: int,
    varbinds: Sequence[Varbind],
    first: int = 0,
    second: int = 0,
    version: int = 1,
    community: bytes = b"public",
) -> bytes:
    return tlv(0x30, encode_integer(version) + tlv(4, community) + pdu(kind, varbinds, first, second))


def get(name: Oid) -> bytes:
    return pdu(GET, [(name, NULL)])


def contents(*names: Oid) -> list[bytes]:
    return [encode_oid(name) for name in names]


def integer(value: Value) -> bytes:
    assert isinstance(value, int)
    return encode_integer(value)
