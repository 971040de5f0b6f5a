"""Passwords and refused writes from a real child process to the core and back."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.app.audit_events import Told, access_priorities, told_of
from bridge.app.command_side import CommandSide
from bridge.commands.audit_files import records, verify
from bridge.config.alarm_keys import EventsKey
from bridge.config.load import load_site
from bridge.core.clock import SystemClock
from bridge.core.event import EventKind
from bridge.core.secret import Secret
from bridge.core.store import PointStore
from tests.support.bridge_site import site_files
from tests.support.workers import EchoClient, definition, echo, running, services, spare_ports, until

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(60)]
PORT = spare_ports(1)
CANARY = "canary-word-17"


async def test_logins_and_refusals_cross_the_link_and_a_password_appears_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    # BARS S3, S6
    caplog.set_level("DEBUG")
    config = load_site(site_files(tmp_path / "site", {"lockout": {"tries": 3}}, {}))
    store = PointStore([definition(0)])
    side = CommandSide(store, config, SystemClock(), lambda device: None)
    told: list[Told | None] = []
    side.on_record = lambda record: told.append(told_of(record, access_priorities(EventsKey())))
    side.users.add("anna", "operator", Secret(CANARY), 8)
    core = replace(services(store), logins=side.logins, refusals=side)
    async with asyncio.TaskGroup() as group:
        side.start(group)
        async with running(store, [echo("web", PORT, [0])], core=core):
            client = await EchoClient.connect(PORT)
            assert await client.ask(f"LOGIN anna {CANARY}") == "admitted operator"
            assert await client.ask(f"LOGIN {CANARY} {CANARY}") == "wrong"
            assert await client.ask("LOGIN anna other") == "wrong"
            assert await client.ask("LOGIN anna another") == "wrong"
            assert await client.ask(f"LOGIN anna {CANARY}") == "locked"
            assert await client.ask("REFUSE item-7 500") == "refused"
            folder = config.state_dir / "audit"
            await until(lambda: any(record.target == "item-7" for record in records(folder)))
            await client.close()
        await side.stop()

    kept = list(records(folder))
    assert [(r.kind, r.result, r.user) for r in kept[:2]] == [
        ("login", "admitted", "anna"),
        ("login", "wrong", "(unknown)"),
    ]
    # A-13 A-14: every access is an event, the good one below the threshold
    access = [(one.priority, one.user) for one in told if one is not None and one.kind is EventKind.ACCESS]
    assert access[:2] == [(0, "anna"), (128, "(unknown)")]
    assert [user for priority, user in access if priority == 255] == ["anna", "anna"]
    assert sum(1 + r.repeated for r in kept if r.target == "item-7") >= 20
    assert {r.protocol for r in kept} == {"web"}
    assert verify(folder).fault is None
    written = b"".join(path.read_bytes() for path in config.directory.rglob("*") if path.is_file())
    output = capfd.readouterr()
    assert CANARY.encode() not in written
    assert CANARY not in caplog.text + output.out + output.err
