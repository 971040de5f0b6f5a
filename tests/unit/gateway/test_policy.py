"""bridge.gateway.modbus.policy"""

import pytest

from bridge.gateway.modbus.plan import PlannedRule
from bridge.gateway.modbus.policy import ALLOWED, ILLEGAL_FUNCTION, ILLEGAL_VALUE, Policy
from bridge.gateway.modbus.settings import Access
from tests.support.gateway_site import device, facts, planned

SITE = facts(device("a", "riser", 11), device("b", "riser", 12))
READ = bytes.fromhex("0300000002")
# function -> a write of it that touches address 7 only
WRITES = {
    5: "050007ff00",
    6: "0600070001",
    15: "0f000700010101",
    16: "100007000102ffff",
    21: "15090600040007000100ff",
    22: "16000700f20025",
    23: "17000300060007000102ffff",
}


def policy(*rules: dict[str, object]) -> Policy:
    return Policy(planned(SITE, policy=rules).policy, {})


def verdict(tried: Policy, pdu: str, unit: int = 11, client: str = "10.0.0.9") -> int:
    return tried.refusal(client, "riser", unit, bytes.fromhex(pdu))


@pytest.mark.parametrize("function", WRITES)
def test_without_a_rule_every_write_is_refused(function: int) -> None:
    # S1
    assert verdict(policy(), WRITES[function]) == ILLEGAL_FUNCTION


def test_without_a_rule_reads_pass_and_what_nobody_knows_does_not() -> None:
    assert verdict(policy(), READ.hex()) == ALLOWED
    assert verdict(policy(), "2b0e0100") == ALLOWED
    assert verdict(policy(), "64040a0102") == ILLEGAL_FUNCTION
    assert verdict(policy(), "0800010000") == ILLEGAL_FUNCTION


@pytest.mark.parametrize("function", [6, 16, 22, 23])
def test_a_write_is_allowed_in_its_registers_only(function: int) -> None:
    allowed = policy({"access": "allow", "functions": [6, 16, 22, 23], "registers": ["0-20"]})
    elsewhere = policy({"access": "allow", "functions": [6, 16, 22, 23], "registers": ["8-20"]})

    assert verdict(allowed, WRITES[function]) == ALLOWED
    assert verdict(elsewhere, WRITES[function]) == ILLEGAL_FUNCTION


def test_a_write_that_reaches_out_of_its_registers_is_refused() -> None:
    tried = policy({"access": "allow", "functions": [16], "registers": ["3-4"]})

    assert verdict(tried, "1000030002040001ffff") == ALLOWED
    assert verdict(tried, "10000300030600010002ffff") == ILLEGAL_FUNCTION


def test_a_refused_register_refuses_every_request_that_touches_it() -> None:
    tried = policy({"access": "refuse", "registers": [5]}, {"access": "allow", "functions": [3, 16]})

    assert verdict(tried, "0300050001") == ILLEGAL_FUNCTION
    assert verdict(tried, "0300000006") == ILLEGAL_FUNCTION
    assert verdict(tried, "0300000005") == ALLOWED
    assert verdict(tried, "1000040002040001ffff") == ILLEGAL_FUNCTION


def test_the_first_rule_that_matches_decides() -> None:
    tried = policy(
        {"access": "refuse", "devices": ["a"], "functions": [6]},
        {"access": "allow", "units": ["11-12"], "functions": [6]},
    )

    assert verdict(tried, WRITES[6], unit=11) == ILLEGAL_FUNCTION
    assert verdict(tried, WRITES[6], unit=12) == ALLOWED
    assert verdict(tried, WRITES[6], unit=13) == ILLEGAL_FUNCTION


def test_a_rule_for_every_unit_is_none_for_a_broadcast() -> None:
    everyone = policy({"access": "allow", "functions": [16]})
    broadcast = policy({"access": "allow", "units": [0], "functions": [16]})

    assert verdict(everyone, WRITES[16], unit=0) == ILLEGAL_FUNCTION
    assert verdict(broadcast, WRITES[16], unit=0) == ALLOWED


def test_a_rule_may_be_for_clients_of_a_network() -> None:
    tried = policy({"access": "allow", "clients": ["10.0.0.0/24", "fd00::/8"], "functions": [100]})

    assert verdict(tried, "6401", client="10.0.0.9") == ALLOWED
    assert verdict(tried, "6401", client="::ffff:10.0.0.9") == ALLOWED
    assert verdict(tried, "6401", client="fd00::1%eth0") == ALLOWED
    assert verdict(tried, "6401", client="10.0.1.9") == ILLEGAL_FUNCTION
    assert verdict(tried, "6401", client="") == ILLEGAL_FUNCTION


def test_a_write_that_is_not_as_written_is_refused_whatever_the_rules_say() -> None:
    tried = policy({"access": "allow"})

    assert verdict(tried, "100003000202ffff") == ILLEGAL_VALUE
    assert verdict(tried, "0300000000") == ILLEGAL_VALUE


def test_what_is_remembered_stays_bounded() -> None:
    tried = policy({"access": "allow", "functions": [65]})
    for number in range(10_000):
        assert tried.refusal("c", "riser", 1, b"\x41" + number.to_bytes(4, "big")) == ALLOWED

    assert len(tried._decided) <= 4096


def test_a_role_allows_its_functions_and_no_role_none() -> None:
    tried = Policy([PlannedRule(Access.ALLOW)], {"reader": (3, 4)})

    assert tried.role_allows("reader", 3)
    assert not tried.role_allows("reader", 6)
    assert not tried.role_allows("", 3)
