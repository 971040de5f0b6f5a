"""opcua.yaml -> plan: what is shown, what may be written, what is refused."""

import msgspec
import pytest

from bridge.config.ledger import Ledger
from bridge.core.errors import ProjectionError
from bridge.core.ports import Grant
from bridge.projections.opcua.mapping import project
from bridge.projections.opcua.plan import Plan
from bridge.projections.opcua.settings import Mapping
from tests.support.modbus_site import site
from tests.support.opcua_site import projected

FACTS = site(2)
IDS = {d.index: d.id for d in FACTS.points}


def plan_of(**more: object) -> Plan:
    plan = projected(FACTS, 4840, **more).plan
    assert isinstance(plan, Plan)
    return plan


def test_without_a_rule_every_point_is_shown_and_none_is_writable() -> None:
    made = projected(FACTS, 4840)

    assert isinstance(made.plan, Plan)
    assert made.plan.points == tuple(d.index for d in FACTS.points)
    assert made.plan.writable == ()
    assert Grant.COMMANDS not in made.needs.grants
    assert made.facts == {"url": "opc.tcp://127.0.0.1:4840"}


def test_rules_and_overrides_decide_in_their_order() -> None:
    plan = plan_of(
        rules=[{"match": "m1.*_l1", "skip": True}, {"match": "m1.*", "range": [0, 5]}],
        overrides={"m1.voltage_l1": {"skip": False, "range": [200, 260]}},
    )
    shown = {IDS[index] for index in plan.points}

    assert "m1.voltage_l1" in shown
    assert "m1.current_l1" not in shown
    assert plan.ranges[next(i for i, n in IDS.items() if n == "m1.voltage_l1")] == (200, 260)
    assert plan.ranges[next(i for i, n in IDS.items() if n == "m1.voltage_l2")] == (0, 5)


# S2
def test_read_write_opens_commands_and_settings_and_nothing_that_bills() -> None:
    made = projected(FACTS, 4840, access="read-write")
    assert isinstance(made.plan, Plan)
    names = {IDS[index].partition(".")[2] for index in made.plan.writable}

    assert names == {"reset_demand_peak", "overload_threshold", "demand_interval"}
    assert Grant.COMMANDS in made.needs.grants


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"overrides": {"m9.nothing": {}}}, ("overrides", "m9.nothing")),
        ({"rules": [{"match": "*", "range": [5, 5]}]}, ("rules", 0, "range")),
        ({"overrides": {"m1.voltage_l1": {"range": [9, 1]}}}, ("overrides", "m1.voltage_l1", "range")),
        ({"security": {"policies": [], "anonymous": "allowed"}}, ("security", "policies")),
        ({"security": {"modes": [], "anonymous": "allowed"}}, ("security", "modes")),
        ({"security": {}}, ("users",)),
        ({"users": {"ada": {"role": "viewer"}}}, ("users", "ada")),
        ({"listener": {"tls": {"certificate": "c", "key": "k"}}}, ("listener", "tls")),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused_with_its_place(
    more: dict[str, object], path: tuple[str | int, ...]
) -> None:
    with pytest.raises(ProjectionError) as refused:
        projected(FACTS, 4840, **more)

    assert refused.value.path == path


def test_out_of_the_box_nobody_comes_in_without_a_name() -> None:
    """S3: a mapping with a listener alone is no open server."""
    mapping = msgspec.convert({"listener": {"port": 4840}}, Mapping)

    with pytest.raises(ProjectionError, match="expected a user at least"):
        project(mapping, FACTS, Ledger())


@pytest.mark.parametrize("password", ["secret", "$2b$12$abc", ""])
def test_a_password_in_clear_is_no_password(password: str) -> None:
    users = {"ada": {"role": "viewer", "password": password}}

    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"listener": {"port": 4840}, "users": users}, Mapping)
