"""bridge.app.lines: the core judges raw requests itself"""

import contextlib
import errno
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge.app.lines import FieldLines
from bridge.commands.audit import Audit
from bridge.commands.audit_files import AuditFiles, records
from bridge.commands.chain import Fact, Record
from bridge.commands.policy import WritePolicy
from bridge.commands.raw import RawPolicy
from bridge.config.access import AccessFile
from bridge.core.errors import RawFailure, RawRefused
from bridge.field.channel import FieldChannel
from bridge.field.line import Use
from tests.support.billed_meters import ENERGY, SETTING, billed_meters
from tests.support.policy_site import LoopClock
from tests.unit.commands.test_raw import OPEN, write_register

SECOND = 1_000_000_000


class FakeChannel(FieldChannel):
    """Echoes; remembers what came."""

    def __init__(self) -> None:
        self.name = "line"
        self.asked: list[bytes] = []

    @contextlib.asynccontextmanager
    async def raw(self, received: Callable[[bytes], None]) -> AsyncIterator[Callable[[bytes], float]]:
        yield lambda data: 0.0

    async def ask(
        self,
        use: Use,
        user: str,
        unit_id: int,
        pdu: bytes,
        timeout_s: float,
        attempts: int = 2,
        late: Callable[[], bool] | None = None,
    ) -> bytes:
        del use, user, unit_id, timeout_s, attempts, late
        self.asked.append(pdu)
        return pdu


class Bench:
    def __init__(self, folder: Path, rules: dict[str, Any]) -> None:
        files, self.folder = AuditFiles(folder, 1_000_000, 5), folder

        self.full = False

        async def append(fact: Fact, time: str) -> Record:
            if self.full:
                raise OSError(errno.ENOSPC, "no space left on device")
            return files.append(fact, time)

        access = msgspec.convert(rules, AccessFile)
        policy = RawPolicy(access, billed_meters(), WritePolicy(access).roles)
        self.channel = FakeChannel()
        self.overheard: list[tuple[str, int, bytes, bytes]] = []
        self.lines = FieldLines(
            {"line": self.channel},
            LoopClock(),
            policy,
            Audit(append, LoopClock()),
            overheard=lambda *read: self.overheard.append(read),
        )

    async def exchange(self, pdu: bytes, unit_id: int = 1, identity: str = "") -> bytes:
        return await self.lines.exchange("line", "192.0.2.7:51234", unit_id, pdu, 10**15, identity=identity)


async def test_a_read_goes_through_unrecorded(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {})

    assert await bench.exchange(bytes((3, 0, 0, 0, 1))) == bytes((3, 0, 0, 0, 1))
    assert list(records(tmp_path)) == []


@pytest.mark.parametrize("rules", [{}, OPEN], ids=["out of the box", "everything open"])
async def test_a_billed_register_is_never_written_whatever_the_worker_let_pass(
    tmp_path: Path, rules: dict[str, Any]
) -> None:
    # BARS S1, S2
    bench = Bench(tmp_path, rules)

    for _ in range(3):
        with pytest.raises(RawRefused, match=RawFailure.REFUSED_BY_POLICY.value):
            await bench.exchange(write_register(ENERGY))

    assert bench.channel.asked == []
    (record,) = records(tmp_path)
    assert (record.kind, record.result, record.protocol, record.peer) == (
        "raw",
        "refused_by_policy",
        "gateway",
        "192.0.2.7",
    )


async def test_raw_bytes_are_recorded_before_and_after(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {})
    async with bench.lines.tunnel("line", "192.0.2.7:51234", lambda data: None, 30.0):
        (begun,) = records(tmp_path)
    begun, ended = records(tmp_path)

    assert (begun.kind, begun.result, begun.target, begun.peer) == ("raw bytes", "started", "line", "192.0.2.7")
    assert (ended.result, ended.of, ended.protocol) == ("ended", begun.n, "ethergate")


async def test_raw_bytes_that_cannot_be_recorded_do_not_reach_the_line(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {})
    bench.full = True
    with pytest.raises(RawRefused, match="audit"):
        async with bench.lines.tunnel("line", "192.0.2.7:51234", lambda data: None, 30.0):
            raise AssertionError("let through")


async def test_a_permitted_write_is_recorded_before_and_after(tmp_path: Path) -> None:
    bench = Bench(tmp_path, OPEN)

    await bench.exchange(write_register(SETTING))

    assert bench.channel.asked == [write_register(SETTING)]
    assert [(r.result, r.of) for r in records(tmp_path)] == [("started", 0), ("done", 1)]


async def test_what_a_client_has_proved_to_be_gives_it_its_role_and_stands_in_the_audit(tmp_path: Path) -> None:
    # BARS S1
    identities = [{"protocol": "gateway", "users": ["engineer"], "role": "technician"}]
    bench = Bench(tmp_path, {**OPEN, "identities": identities})

    for identity in ("", "reader"):
        with pytest.raises(RawRefused, match="no role"):
            await bench.exchange(write_register(SETTING), identity=identity)
    await bench.exchange(write_register(SETTING), identity="engineer")

    assert bench.channel.asked == [write_register(SETTING)]
    found = [(record.user, record.role, record.result) for record in records(tmp_path)]
    assert found[-2:] == [("engineer", "technician", "started"), ("engineer", "technician", "done")]


async def test_the_poller_sees_what_a_device_answers_to_a_read_and_to_nothing_else(tmp_path: Path) -> None:
    bench, read = Bench(tmp_path, OPEN), bytes((3, 0, 0, 0, 1))
    await bench.exchange(read)
    await bench.exchange(write_register(SETTING))
    await bench.exchange(bytes((17,)))

    assert bench.overheard == [("line", 1, read, read)]
