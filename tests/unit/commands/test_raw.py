"""bridge.commands.raw: what the gateway may send to a line"""

import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.commands.policy import WritePolicy
from bridge.commands.raw import READS, RawPolicy, written_by
from bridge.config.access import AccessFile
from bridge.config.meter import Table
from bridge.core.command import Origin
from bridge.modbus.request import Effect
from tests.support.billed_meters import CT, ENERGY, SETTING, billed_meters

CLIENT = Origin("gateway", "192.0.2.7", "")
OPEN: dict[str, Any] = {
    "identities": [{"protocol": "gateway", "networks": ["192.0.2.0/24"], "role": "technician"}],
    "gateway": [{"channel": "line", "functions": [5, 6, 15, 16, 22, 23]}],
}
UNKNOWN = 9000


def policy(rules: dict[str, Any] | None = None) -> RawPolicy:
    access = msgspec.convert(OPEN if rules is None else rules, AccessFile)
    return RawPolicy(access, billed_meters(), WritePolicy(access).roles)


def write_register(address: int) -> bytes:
    return struct.pack(">BHH", 6, address, 1)


def write_registers(address: int, count: int = 1) -> bytes:
    return struct.pack(">BHHB", 16, address, count, 2 * count) + bytes(2 * count)


def mask(address: int) -> bytes:
    return struct.pack(">BHHH", 22, address, 0, 1)


def read_write(address: int, count: int = 1) -> bytes:
    return struct.pack(">BHHHHB", 23, 0, 1, address, count, 2 * count) + bytes(2 * count)


def coil(address: int) -> bytes:
    return struct.pack(">BHH", 5, address, 0xFF00)


def coils(address: int) -> bytes:
    return struct.pack(">BHHBB", 15, address, 8, 1, 255)


WRITES = (write_register, write_registers, mask, read_write, coil, coils)


@pytest.mark.parametrize("make", WRITES)
@pytest.mark.parametrize("unit_id", [0, 1, 2, 77, 255])
def test_out_of_the_box_the_gateway_only_reads(make: Any, unit_id: int) -> None:
    # BARS S1
    assert policy({}).judge(make(SETTING), unit_id, "line", CLIENT).refusal is not None


@pytest.mark.parametrize("function", sorted(READS))
def test_reads_pass(function: int) -> None:
    decision = policy({}).judge(bytes((function, 0, 0, 0, 1)), 1, "line", CLIENT)

    assert decision.refusal is None
    assert decision.written is None


def test_the_identification_passes_and_other_encapsulated_requests_do_not() -> None:
    assert policy().judge(bytes((43, 14, 1, 0)), 1, "line", CLIENT).refusal is None
    assert policy().judge(bytes((43, 13, 1, 0)), 1, "line", CLIENT).refusal is not None


def test_a_read_is_not_broadcast() -> None:
    assert policy().judge(bytes((3, 0, 0, 0, 1)), 0, "line", CLIENT).refusal is not None


def test_a_rule_opens_a_meter_that_is_no_mid_meter() -> None:
    assert policy().judge(write_register(UNKNOWN), 2, "line", CLIENT).refusal is None


def test_of_a_mid_meter_a_declared_setting_is_open_and_nothing_else() -> None:
    # BARS S2
    judge = policy().judge

    assert judge(write_register(SETTING), 1, "line", CLIENT).refusal is None
    assert judge(write_registers(SETTING, 2), 1, "line", CLIENT).refusal is not None
    assert judge(write_register(UNKNOWN), 1, "line", CLIENT).refusal is not None
    assert judge(coil(SETTING), 1, "line", CLIENT).refusal is not None


@pytest.mark.parametrize("make", [write_register, write_registers, mask, read_write])
@pytest.mark.parametrize("address", [ENERGY, ENERGY + 1, CT])
@pytest.mark.parametrize("unit_id", [0, 1])
def test_billed_registers_are_shut_for_every_function_and_for_a_broadcast(
    make: Any, address: int, unit_id: int
) -> None:
    # BARS S2, P-10
    everything = {**OPEN, "gateway": [{**OPEN["gateway"][0], "units": [0, 1, 2]}]}

    assert policy(everything).judge(make(address), unit_id, "line", CLIENT).refusal is not None


def test_a_write_that_only_touches_a_billed_register_with_its_end_is_shut() -> None:
    assert policy().judge(write_registers(ENERGY - 2, 3), 1, "line", CLIENT).refusal is not None


@pytest.mark.parametrize(
    ("rule", "pdu", "passes"),
    [
        ({"functions": [16]}, write_register(UNKNOWN), False),
        ({"units": [2]}, write_register(UNKNOWN), True),
        ({"units": [1]}, write_register(UNKNOWN), False),
        ({"registers": [[9000, 9001]]}, write_register(9001), True),
        ({"registers": [[9000, 9001]]}, write_registers(9001, 2), False),
        ({"roles": ["administrator"]}, write_register(UNKNOWN), False),
        ({"networks": ["198.51.100.0/24"]}, write_register(UNKNOWN), False),
        ({"channel": "lan"}, write_register(UNKNOWN), False),
    ],
)
def test_every_key_of_a_rule_narrows_it(rule: dict[str, Any], pdu: bytes, passes: bool) -> None:
    rules = {**OPEN, "gateway": [{"channel": "line", **rule}]}

    assert (policy(rules).judge(pdu, 2, "line", CLIENT).refusal is None) is passes


def test_a_broadcast_needs_a_rule_that_names_unit_0() -> None:
    named = {**OPEN, "gateway": [{"channel": "lan", "units": [0]}]}

    assert policy().judge(write_registers(UNKNOWN), 0, "lan", CLIENT).refusal is not None
    assert policy(named).judge(write_registers(UNKNOWN), 0, "lan", CLIENT).refusal is None


def test_an_unknown_unit_id_is_shut_for_it_may_be_any_meter() -> None:
    assert policy().judge(write_register(UNKNOWN), 99, "line", CLIENT).refusal is not None


def test_an_operator_writes_no_raw_registers() -> None:
    rules = {**OPEN, "identities": [{"protocol": "gateway", "role": "operator"}]}

    assert policy(rules).judge(write_register(UNKNOWN), 2, "line", CLIENT).refusal is not None


@pytest.mark.parametrize("function", sorted(set(range(128)) - READS - {5, 6, 15, 16, 22, 23}))
def test_functions_that_are_not_known_to_be_harmless_are_shut(function: int) -> None:
    assert policy().judge(bytes((function, 0, 0, 0, 0)), 2, "line", CLIENT).refusal is not None


def test_a_function_nobody_knows_passes_where_a_rule_names_it_and_nothing_is_billed() -> None:
    rules = {**OPEN, "gateway": [{"channel": "line", "functions": [100, 16]}]}
    narrow = {**OPEN, "gateway": [{"channel": "line", "functions": [100], "registers": [[0, 65535]]}]}
    unknown = bytes((100, 4, 1))

    decision = policy(rules).judge(unknown, 2, "line", CLIENT)
    assert decision.refusal is None
    assert decision.effect is Effect.WRITE
    assert policy(rules).judge(unknown, 1, "line", CLIENT).refusal is not None
    assert policy(rules).judge(bytes((101, 4, 1)), 2, "line", CLIENT).refusal is not None
    assert policy(narrow).judge(unknown, 2, "line", CLIENT).refusal is not None


def test_half_a_write_is_no_unknown_function() -> None:
    assert policy().judge(write_registers(UNKNOWN)[:-1], 2, "line", CLIENT).refusal is not None


@given(st.binary(max_size=260))
def test_a_request_that_is_not_whole_writes_nothing_known(pdu: bytes) -> None:
    decision = policy().judge(pdu, 1, "line", CLIENT)

    if decision.refusal is None and pdu[0] not in READS and pdu[0] != 43:
        written = written_by(pdu)
        assert written is not None
        assert (written.table, written.address, written.count) == (Table.HOLDING, SETTING, 1)
