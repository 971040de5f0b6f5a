"""bridge.commands.policy"""

import msgspec
import pytest

from bridge.commands.policy import Decision, Networks, WritePolicy, address_of
from bridge.config.access import AccessFile
from bridge.core.command import Origin, Outcome
from bridge.core.point import Value
from bridge.core.rights import ROLES, Right, right_to_write
from tests.support.policy_site import POINTS, STRANGER, TECHNICIAN, access, defs, index_of

EVERYTHING = {"identities": [{"protocol": "bacnet", "role": "administrator"}], "rules": [{"match": "*"}]}


def judge(rules: AccessFile, name: str, value: Value = 10.0, origin: Origin = TECHNICIAN) -> Decision:
    return WritePolicy(rules).judge(defs()[index_of(name)], value, origin)


@pytest.mark.parametrize("name", [point[0] for point in POINTS])
def test_out_of_the_box_nobody_writes_anything(name: str) -> None:
    # BARS S1
    assert judge(AccessFile(), name).refused in (Outcome.REFUSED_BY_POLICY, Outcome.NOT_WRITABLE)


def test_a_rule_lets_a_role_write_what_it_names() -> None:
    assert judge(access(), "demand_interval").refused is None
    assert judge(access(), "modbus_address").refused is Outcome.REFUSED_BY_POLICY


def test_a_peer_from_another_network_is_nobody() -> None:
    decision = judge(access(), "demand_interval", origin=STRANGER)

    assert (decision.refused, decision.role) == (Outcome.REFUSED_BY_POLICY, "")


def test_the_same_peer_on_another_protocol_is_nobody() -> None:
    other = Origin("modbus", TECHNICIAN.peer, "")

    assert judge(access(), "demand_interval", origin=other).refused is Outcome.REFUSED_BY_POLICY


@pytest.mark.parametrize(("value", "refused"), [(5.0, None), (60.0, None), (4.9, True), (60.1, True)])
def test_a_rule_narrows_the_range(value: float, refused: bool | None) -> None:
    assert judge(access(), "demand_interval", value).refused is (Outcome.OUT_OF_RANGE if refused else None)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "10", None])
def test_what_is_no_number_is_inside_no_range(value: Value) -> None:
    assert judge(access(), "demand_interval", value).refused is Outcome.OUT_OF_RANGE


@pytest.mark.parametrize("name", ["active_energy_import", "ct_primary_rating"])
def test_what_a_mid_meter_bills_by_is_open_to_no_role(name: str) -> None:
    # P-10, X-13, BARS S2
    decision = judge(msgspec.convert(EVERYTHING, AccessFile), name)

    assert decision.refused is Outcome.NOT_WRITABLE


def test_the_first_rule_that_fits_decides() -> None:
    rules = [{"match": "m1.*", "effect": "deny"}, {"match": "*"}]

    assert judge(access(rules=rules), "demand_interval").refused is Outcome.REFUSED_BY_POLICY


def test_a_rule_of_other_roles_networks_or_protocols_does_not_fit() -> None:
    for key, value in (("roles", ["operator"]), ("networks", ["203.0.113.0/24"]), ("protocols", ["snmp"])):
        rules = [{"match": "*", key: value}]

        assert judge(access(rules=rules), "demand_interval").refused is Outcome.REFUSED_BY_POLICY


def test_a_role_needs_the_right_as_well_as_the_rule() -> None:
    # least privilege
    as_operator = [{"protocol": "bacnet", "role": "operator"}]
    everything = [{"match": "*"}]
    rules = access(identities=as_operator, rules=everything)

    assert judge(rules, "reset_demand_peak", True).refused is None
    assert judge(rules, "demand_interval").refused is Outcome.REFUSED_BY_POLICY
    assert judge(rules, "modbus_address").refused is Outcome.REFUSED_BY_POLICY


def test_seven_rights_and_what_each_point_needs() -> None:
    # X-03, P-05, P-06
    needed = {d.name: right_to_write(d) for d in defs()}

    assert len(Right) == 7
    assert needed["reset_demand_peak"] is Right.PEAK_RESET
    assert needed["modbus_address"] is Right.COMMUNICATION
    assert needed["demand_interval"] is Right.CONFIGURATION
    assert ROLES["operator"] == {Right.READ, Right.PEAK_RESET, Right.TIME}
    assert Right.SECURITY not in ROLES["technician"]


def test_a_named_user_has_his_own_role_and_the_rest_the_common_one() -> None:
    identities = [
        {"protocol": "snmp", "users": ["anna"], "role": "technician"},
        {"protocol": "snmp", "role": "viewer"},
    ]
    roles = WritePolicy(access(identities=identities)).roles

    assert roles.role_of(Origin("snmp", "192.0.2.1", "anna")) == "technician"
    assert roles.role_of(Origin("snmp", "192.0.2.1", "bob")) == "viewer"
    assert roles.role_of(Origin("opcua", "192.0.2.1", "anna")) == ""


def test_a_user_the_bridge_knows_has_the_role_of_its_file() -> None:
    policy = WritePolicy(access(), lambda protocol, user: "operator" if (protocol, user) == ("web", "eve") else None)

    assert policy.roles.role_of(Origin("web", "192.0.2.1", "eve")) == "operator"
    assert policy.roles.role_of(Origin("snmp", "192.0.2.1", "eve")) == ""


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:502", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:502", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("local", "None"),
        ("", "None"),
        ("192.0.2.999", "None"),
    ],
)
def test_the_address_of_a_peer(peer: str, address: str) -> None:
    assert str(address_of(peer)) == address


def test_a_peer_without_an_address_is_in_no_network() -> None:
    assert Networks(()).admit("local")
    assert not Networks(("0.0.0.0/0", "::/0")).admit("local")
