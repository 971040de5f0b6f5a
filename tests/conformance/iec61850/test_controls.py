"""Controls: opted in per output, every operate waits for the meter, and the client sees the true result."""

import asyncio
import contextlib
import time
from typing import Any

import iec61850
import pytest

from bridge.core.command import Outcome
from tests.conformance.iec61850.hosted import FakePolicy, client, hosted
from tests.support.mms_client import FC, connect
from tests.support.mms_raw import raw
from tests.support.mms_recorder import recorded
from tests.support.mms_site import by_id
from tests.support.workers import until

pytestmark = pytest.mark.real_time
RULES = [
    {"match": "*.digital_output_1", "control": "direct"},
    {"match": "*.digital_output_2", "control": "select-before-operate"},
    {"match": "*.tariff_select", "control": "direct"},
    {"match": "*.overload_threshold", "control": "direct"},
]
DIRECT, SELECT = iec61850.ControlModel.DIRECT_ENHANCED, iec61850.ControlModel.SBO_ENHANCED
CAUSE = iec61850.ControlAddCause


def control_of(connection: Any, name: str, model: Any = DIRECT) -> Any:
    control = connection.create_control_object(f"GW1m1/GGIO1.{name}", model)
    control.set_origin(iec61850.OriginValue(3, b"test"))
    return control


@pytest.mark.parametrize(("name", "model"), [("SPCSO1", DIRECT), ("SPCSO2", SELECT)], ids=["direct", "select"])
@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome.DONE, (True, None)),
        (Outcome.DEVICE_REFUSED, (False, CAUSE.BLOCKED_BY_PROCESS)),
        (Outcome.REFUSED_BY_POLICY, (False, CAUSE.NO_ACCESS_AUTHORITY)),
        (Outcome.OUT_OF_RANGE, (False, CAUSE.INCONSISTENT_PARAMETERS)),
        (None, (False, CAUSE.TIME_LIMIT_OVER)),
    ],
    ids=["done", "device refused", "policy refused", "out of range", "no answer"],
)
async def test_a_control_shows_the_true_result(
    name: str, model: Any, outcome: Outcome | None, expected: tuple[bool, Any]
) -> None:
    policy = FakePolicy(outcome, 0.3)
    async with hosted(1, policy, rules=RULES, control_timeout_s=0.6) as host, client(host.port) as c:
        control = control_of(c, name, model)
        if model is SELECT:
            assert await control.select_with_value(True)
        begin = time.monotonic()
        answer = await control.operate(True)
        took = time.monotonic() - begin
        index = by_id(host.facts)[f"m1.digital_output_{name[-1]}"].index
        await until(lambda: bool(host.counters.get("controls")))

    assert (answer.success, answer.add_cause) == expected
    assert 0.25 < took < 2
    assert [(command.index, command.value) for command in policy.seen] == [(index, True)]


async def test_a_command_carries_the_address_of_the_client_and_its_category() -> None:
    policy = FakePolicy(delay_s=0)
    async with (
        hosted(1, policy, rules=RULES) as host,
        recorded(host.port, "127.0.0.77") as through,
        client(through.port) as c,
    ):
        await control_of(c, "SPCSO1").operate(True)

    origin = policy.seen[0].origin
    assert (origin.protocol, origin.peer, origin.user) == ("iec61850", "127.0.0.77", "category 3")


async def test_a_command_has_the_integer_of_its_class() -> None:
    policy = FakePolicy(delay_s=0)
    async with hosted(1, policy, rules=RULES) as host, client(host.port) as c:
        answer = await control_of(c, "ISCSO1").operate(2)

    assert answer.success
    assert [command.value for command in policy.seen] == [2]


async def test_a_command_has_the_analogue_value_of_its_class_and_nothing_else_is_taken_for_one() -> None:
    policy = FakePolicy(delay_s=0)
    async with hosted(1, policy, rules=RULES) as host:
        done = await asyncio.to_thread(raw, "analogue", str(host.port), "GW1m1/GGIO1.AnOut1", "95.5")
        async with client(host.port) as c:
            # this client sends a bare float where the class has a structure
            answer = await control_of(c, "AnOut1").operate(95.5)

    assert done == 0
    assert not answer.success
    assert [command.value for command in policy.seen] == [95.5]


async def test_out_of_the_box_no_output_can_be_commanded_or_written() -> None:  # I-06, BARS S1
    policy = FakePolicy()
    async with hosted(1, policy) as host, client(host.port) as c:
        model = await c.read("GW1m1/GGIO1.SPCSO1.ctlModel", FC.CF)
        answers = []
        for kind in (DIRECT, SELECT):
            try:
                answers.append(bool((await control_of(c, "SPCSO1", kind).operate(True)).success))
            except Exception:  # noqa: BLE001 - the client raises a plain Exception
                answers.append(False)
        for name, fc, value in (
            ("MMXU1.TotW.mag.f", FC.MX, 1.0),
            ("MMTR1.SupWh.actVal", FC.ST, 1),
            ("MMTR1.SupWh.pulsQty", FC.CF, 1.0),
            ("GGIO1.SPCSO1.stVal", FC.ST, True),
            ("GGIO1.SPCSO1.ctlModel", FC.CF, 3),
            ("LLN0.NamPlt.vendor", FC.DC, "x"),
        ):
            before = await c.read(f"GW1m1/{name}", fc)
            with pytest.raises(Exception, match=r"."):
                await c.write(f"GW1m1/{name}", fc, value)
            assert await c.read(f"GW1m1/{name}", fc) == before

    assert model == 0
    assert answers == [False, False]
    assert policy.seen == []


async def test_nobody_makes_or_deletes_data_sets_or_touches_files() -> None:  # BARS S1
    async with hosted(1) as host, client(host.port) as c:
        member = iec61850.DataSetMember("GW1m1/MMXU1.TotW", FC.MX)
        before = await c.get_logical_device_directory("GW1m1")
        for name in ("GW1m1/LLN0.mine", "@mine"):
            with pytest.raises(Exception, match=r"."):
                await c.create_data_set(name, [member])
        with contextlib.suppress(Exception):
            await c.delete_data_set("GW1m1/LLN0.dsAll")
        values = await c.get_data_set_values("GW1m1/LLN0.dsAll")
        with contextlib.suppress(Exception):
            await c.set_data_set_values("GW1m1/LLN0.dsAll", values)
        again = await c.get_data_set_values("GW1m1/LLN0.dsAll")
        after = await c.get_logical_device_directory("GW1m1")
        listed = await asyncio.to_thread(raw, "files", str(host.port))

    assert len(again) == len(values) > 10
    assert before == after
    # rejected by the server; 1 would be a fault of the script
    assert listed == 99


async def test_the_answer_to_a_client_that_is_gone_does_not_count_for_the_next() -> None:
    policy = FakePolicy(Outcome.DONE, 0.4)
    async with hosted(1, policy, rules=RULES) as host:
        first = await connect(host.port)
        task = asyncio.ensure_future(control_of(first, "SPCSO1").operate(True))
        await until(lambda: len(policy.seen) == 1)
        await first.abort()
        task.cancel()
        await asyncio.sleep(0.7)
        policy.outcome, policy.delay_s = Outcome.DEVICE_REFUSED, 0.1
        async with client(host.port) as c:
            answer = await control_of(c, "SPCSO1").operate(False)

    assert not answer.success
    assert [command.value for command in policy.seen] == [True, False]
