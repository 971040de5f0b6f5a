"""bridge.app.orders and setup: the role that the core knows decides, and what is missing is found."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bridge.app.bridge import Bridge
from bridge.app.confirm import ConfirmationWanted, Confirmed
from bridge.app.orders import Orders
from bridge.app.setup import findings
from bridge.commands.chain import Fact
from bridge.commands.policy import Roles
from bridge.config.access import AccessFile
from bridge.config.services import ServicesFile
from bridge.core.command import Origin
from bridge.core.errors import OperationRefused
from bridge.core.listener import Listener
from bridge.core.point import DeviceDef, Nominal, Wiring
from bridge.core.ports import Grant

ANNA = Origin("web", "10.0.0.7", "anna")


class Core:
    """As much of a bridge as orders need. `role`: of everybody who has logged in."""

    def __init__(self, role: str) -> None:
        self.refused: list[Fact] = []
        self.noted: list[Fact] = []
        self.reloads: list[Origin] = []
        self.exchanged: list[str] = []
        roles = Roles(AccessFile(), lambda protocol, user: role if (protocol, user) == ("web", "anna") else None)

        async def refused(fact: Fact) -> None:
            self.refused.append(fact)

        async def note(fact: Fact) -> None:
            self.noted.append(fact)

        async def reload(confirmed: Confirmed, by: Origin) -> list[object]:
            if self.exchanged and confirmed is Confirmed.NO:
                raise ConfirmationWanted(self.exchanged)
            self.reloads.append(by)
            return [object()]

        commands = SimpleNamespace(roles=roles, audit=SimpleNamespace(refused=refused), note=note)
        config = SimpleNamespace(points=[1, 2])
        self.orders = Orders(cast("Bridge", SimpleNamespace(commands=commands, reload=reload, config=config)))

    async def order(self, what: str, origin: Origin = ANNA, **arguments: str) -> Any:
        return json.loads(await self.orders.order(what, arguments, origin))


async def test_whoever_has_the_right_is_obeyed_and_named_to_what_is_done() -> None:
    core = Core("technician")

    assert await core.order("reload") == {"faults": [], "confirm": [], "points": 2, "servers": 1}
    assert core.reloads == [ANNA]


# C-06
async def test_a_device_that_becomes_another_meter_is_told_first_and_taken_over_when_it_is_confirmed() -> None:
    core = Core("technician")
    core.exchanged = ["tenant-1 becomes another meter"]

    told = await core.order("reload")
    assert (told["confirm"], core.reloads) == (["tenant-1 becomes another meter"], [])

    assert (await core.order("reload", confirmed="yes"))["servers"] == 1
    assert core.reloads == [ANNA]


@pytest.mark.parametrize(
    ("role", "origin"),
    [
        ("operator", ANNA),
        ("technician", Origin("snmp", "10.0.0.7", "anna")),
        ("technician", Origin("web", "10.0.0.7", "")),
        ("no such role", ANNA),
    ],
    ids=["role without the right", "login on another protocol", "nobody", "role that is none"],
)
async def test_anybody_else_is_refused_and_recorded(role: str, origin: Origin) -> None:
    core = Core(role)

    with pytest.raises(OperationRefused, match="the right `configuration` is needed"):
        await core.order("reload", origin)

    assert core.reloads == []
    assert [(fact.kind, fact.target, fact.user) for fact in core.refused] == [("configuration", "reload", origin.user)]


async def test_an_order_nobody_knows_is_refused_with_those_that_are() -> None:
    with pytest.raises(OperationRefused, match=r"expected one of reload, users, .* found shutdown"):
        await Core("administrator").order("shutdown")


# C-01 X-01 E-15 E-18
def test_the_set_up_check_finds_what_is_missing_the_worst_first() -> None:
    def device(name: str, mid: bool, nominal: Nominal, labels: dict[str, str]) -> DeviceDef:
        return DeviceDef(name, "toy", "Toy", "T", "lan", 1, mid, Wiring.FOUR_WIRE, nominal, labels, "s.yaml:1")

    ready = device("ready", True, Nominal(230, 80, 50), {"tenant": "1"})
    bare = device("bare", False, Nominal(230), {})
    listener = Listener(port=502, bind="0.0.0.0")
    projected = SimpleNamespace(needs=SimpleNamespace(grants=Grant.LOGINS), extra=None, listeners=(listener,), facts={})
    config = SimpleNamespace(
        field=[SimpleNamespace(definition=ready), SimpleNamespace(definition=bare)],
        devices=[ready, bare],
        points=[],
        services=ServicesFile(),
        warnings=["site.yaml:3:1: odd"],
    )
    snapshots = {
        "ready": SimpleNamespace(last_good_ns=1, serial_number="7", last_error=""),
        "bare": SimpleNamespace(last_good_ns=0, serial_number="", last_error="no reply"),
    }
    bridge = SimpleNamespace(
        config=config,
        faces=[SimpleNamespace(name="web", projected=projected)],
        commands=SimpleNamespace(has_users=lambda: False),
        field=SimpleNamespace(snapshots=lambda: snapshots),
        own=SimpleNamespace(
            memory=SimpleNamespace(recorder=SimpleNamespace(why="disk full")), time=SimpleNamespace(synchronised=False)
        ),
    )

    found = findings(cast("Bridge", bridge))

    told = {(finding.code, finding.subject) for finding in found}
    assert told >= {
        ("never_answered", "bare"),
        ("no_history", ""),
        ("no_user", "web"),
        ("open_server", "web"),
        ("plain_server", "web"),
        ("no_nominal", "bare"),
        ("no_time", ""),
        ("no_syslog", ""),
        ("file_warning", "site.yaml:3:1: odd"),
    }
    assert not any(subject == "ready" for _, subject in told)
    order = ["fault", "warning", "note"]
    assert [finding.level for finding in found] == sorted((f.level for f in found), key=order.index)
