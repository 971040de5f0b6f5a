"""bridge.commands.router: a fake device behind it, virtual time."""

import asyncio
from pathlib import Path

import pytest

from bridge.commands.audit_files import records, verify
from bridge.commands.chain import Record
from bridge.commands.policy import WritePolicy
from bridge.config.access import AccessFile
from bridge.core.command import Command, CommandResult, Mode, Origin, Outcome
from bridge.core.point import Kind, PointDef, Role, Sample, Value
from bridge.core.quality import Quality
from bridge.core.quantity import meaning_of
from tests.support.policy_site import DONE, STRANGER, TECHNICIAN, Bench, FakeCarrier, access, defs, index_of

OTHER = Origin("bacnet", "192.0.2.8", "")


def results(bench: Bench) -> list[tuple[str, str]]:
    return [(record.target, record.result) for record in records(bench.folder)]


def newest(bench: Bench) -> Record:
    return list(records(bench.folder))[-1]


async def test_a_permitted_command_is_carried_out_and_recorded_before_and_after(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    assert await bench.write("demand_interval", 15.0) is Outcome.DONE
    assert bench.carrier.seen == [15.0]
    assert results(bench) == [("m1.demand_interval", "started"), ("m1.demand_interval", "done")]
    record = newest(bench)
    assert (record.old, record.new, record.peer, record.role, record.of) == (1, 15.0, TECHNICIAN.peer, "technician", 1)


async def test_a_refused_command_never_reaches_the_device_and_is_recorded(tmp_path: Path) -> None:
    # BARS S1, S6
    bench = Bench(tmp_path)

    assert await bench.write("demand_interval", 15.0, STRANGER) is Outcome.REFUSED_BY_POLICY
    assert await bench.write("active_energy_import", 0) is Outcome.NOT_WRITABLE
    assert bench.carrier.seen == []
    assert [result for _, result in results(bench)] == ["refused_by_policy", "not_writable"]


@pytest.mark.parametrize("outcome", [Outcome.TIMED_OUT, Outcome.OUT_OF_RANGE, Outcome.BUSY])
async def test_the_outcome_is_the_one_of_the_device(tmp_path: Path, outcome: Outcome) -> None:
    bench = Bench(tmp_path, carrier=FakeCarrier(result=CommandResult(outcome)))

    assert await bench.write("demand_interval", 15.0) is outcome
    assert newest(bench).result == outcome.value


async def test_the_exception_code_of_a_device_is_recorded(tmp_path: Path) -> None:
    bench = Bench(tmp_path, carrier=FakeCarrier(result=CommandResult(Outcome.DEVICE_REFUSED, 4)))

    assert await bench.write("demand_interval", 15.0) is Outcome.DEVICE_REFUSED
    assert newest(bench).reason == "code 4"


async def test_a_changed_setting_of_a_mid_meter_asks_for_verification(tmp_path: Path) -> None:
    # C-08
    bench = Bench(tmp_path)

    await bench.write("demand_interval", 15.0)

    assert "conformity" in newest(bench).reason


async def test_one_command_at_a_time_per_device(tmp_path: Path) -> None:
    bench = Bench(tmp_path, carrier=FakeCarrier(takes_s=0.5))

    await asyncio.gather(*(bench.write("demand_interval", 10.0 + n) for n in range(4)))

    assert bench.carrier.most_at_once == 1
    assert bench.carrier.seen == [10.0, 11.0, 12.0, 13.0]


async def test_two_devices_are_written_side_by_side(tmp_path: Path) -> None:
    bench = Bench(tmp_path, carrier=FakeCarrier(takes_s=0.5))

    await asyncio.gather(*(bench.write("demand_interval", 10.0, meter=meter) for meter in (1, 2)))

    assert bench.carrier.most_at_once == 2


async def test_a_queue_that_is_full_says_busy(tmp_path: Path) -> None:
    bench = Bench(tmp_path, access(limits={"waiting": 2}), FakeCarrier(takes_s=1))

    outcomes = await asyncio.gather(*(bench.write("demand_interval", 10.0 + n) for n in range(5)))

    assert outcomes.count(Outcome.BUSY) == 2
    assert outcomes.count(Outcome.DONE) == 3


async def test_a_command_whose_time_is_over_before_its_turn_is_never_sent(tmp_path: Path) -> None:
    bench = Bench(tmp_path, carrier=FakeCarrier(takes_s=3))
    first = asyncio.ensure_future(bench.write("demand_interval", 10.0))
    await asyncio.sleep(0.1)

    assert await bench.write("demand_interval", 20.0, within_s=1.0) is Outcome.TIMED_OUT
    assert await first is Outcome.DONE
    await asyncio.sleep(10)
    assert bench.carrier.seen == [10.0]


async def test_a_command_under_way_outlives_who_asked_for_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, carrier=FakeCarrier(takes_s=2))
    asking = asyncio.ensure_future(bench.write("demand_interval", 10.0))
    await asyncio.sleep(0.5)
    asking.cancel()
    await asyncio.sleep(5)

    assert bench.carrier.seen == [10.0]
    assert newest(bench).result == "done"


async def test_a_reload_that_takes_the_permission_away_stops_what_waits(tmp_path: Path) -> None:
    bench = Bench(tmp_path, carrier=FakeCarrier(takes_s=1))
    first = asyncio.ensure_future(bench.write("demand_interval", 10.0))
    second = asyncio.ensure_future(bench.write("demand_interval", 20.0))
    await asyncio.sleep(0.5)
    bench.router.apply(WritePolicy(AccessFile()), access().limits)

    assert (await first, await second) == (Outcome.DONE, Outcome.REFUSED_BY_POLICY)
    assert bench.carrier.seen == [10.0]


async def test_an_origin_with_too_many_commands_is_told_busy_and_others_are_not(tmp_path: Path) -> None:
    bench = Bench(tmp_path, access(limits={"per_minute": 3}))

    mine = [await bench.write("demand_interval", 10.0) for _ in range(4)]

    assert mine == [Outcome.DONE] * 3 + [Outcome.BUSY]
    assert await bench.write("demand_interval", 10.0, OTHER) is Outcome.DONE
    await asyncio.sleep(21)
    assert await bench.write("demand_interval", 10.0) is Outcome.DONE


async def test_an_origin_is_the_same_from_every_port(tmp_path: Path) -> None:
    bench = Bench(tmp_path, access(limits={"per_minute": 3}))

    mine = [
        await bench.write("demand_interval", 10.0, Origin("bacnet", f"{TECHNICIAN.peer}:{port}", ""))
        for port in range(40_000, 40_004)
    ]

    assert mine == [Outcome.DONE] * 3 + [Outcome.BUSY]
    assert {record.peer for record in records(bench.folder)} == {TECHNICIAN.peer}


async def test_a_point_with_select_is_operated_only_after_a_select_of_the_same_value(tmp_path: Path) -> None:
    bench = Bench(tmp_path, access(rules=[{"match": "*", "select": True}]))

    async def operate(value: float, origin: Origin = TECHNICIAN) -> Outcome:
        return await bench.write("demand_interval", value, origin, mode=Mode.OPERATE)

    async def select(value: float, origin: Origin = TECHNICIAN) -> Outcome:
        return await bench.write("demand_interval", value, origin, mode=Mode.SELECT)

    assert await bench.write("demand_interval", 15.0) is Outcome.REFUSED_BY_POLICY
    assert await operate(15.0) is Outcome.REFUSED_BY_POLICY
    assert await select(15.0) is Outcome.DONE
    assert await select(15.0, OTHER) is Outcome.BUSY
    assert await operate(16.0) is Outcome.REFUSED_BY_POLICY
    assert await operate(15.0) is Outcome.REFUSED_BY_POLICY
    assert await select(15.0) is Outcome.DONE
    assert await operate(15.0, OTHER) is Outcome.REFUSED_BY_POLICY
    assert await operate(15.0) is Outcome.DONE
    assert await operate(15.0) is Outcome.REFUSED_BY_POLICY
    assert bench.carrier.seen == [15.0]


async def test_a_selection_ends_with_its_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path, access(limits={"select_s": 5}))

    assert await bench.write("demand_interval", 15.0, mode=Mode.SELECT) is Outcome.DONE
    await asyncio.sleep(5.1)
    assert await bench.write("demand_interval", 15.0, mode=Mode.OPERATE) is Outcome.REFUSED_BY_POLICY


async def test_a_select_is_judged_as_the_command_would_be(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    assert await bench.write("demand_interval", 99.0, mode=Mode.SELECT) is Outcome.OUT_OF_RANGE
    assert await bench.write("demand_interval", 15.0, STRANGER, mode=Mode.SELECT) is Outcome.REFUSED_BY_POLICY


async def test_a_peak_that_was_reset_is_locked_for_days_over_a_restart_too(tmp_path: Path) -> None:
    # E-05
    rules = access(limits={"peak_reset_lockout_days": 25})
    bench = Bench(tmp_path, rules)

    assert await bench.write("reset_demand_peak", True) is Outcome.DONE
    assert await bench.write("reset_demand_peak", True) is Outcome.REFUSED_BY_POLICY
    assert newest(bench).reason == "the peak was reset a short time ago"
    bench.close()
    again = Bench(tmp_path, rules)
    assert await again.write("reset_demand_peak", True) is Outcome.REFUSED_BY_POLICY
    assert await again.write("reset_demand_peak", True, meter=2) is Outcome.DONE
    await asyncio.sleep(25 * 86_400)
    assert await again.write("reset_demand_peak", True) is Outcome.DONE


async def test_a_reset_that_failed_locks_nothing(tmp_path: Path) -> None:
    rules = access(limits={"peak_reset_lockout_days": 25})
    bench = Bench(tmp_path, rules, FakeCarrier(result=CommandResult(Outcome.TIMED_OUT)))

    assert await bench.write("reset_demand_peak", True) is Outcome.TIMED_OUT
    bench.carrier.result = DONE
    assert await bench.write("reset_demand_peak", True) is Outcome.DONE


async def test_the_bridge_obeys_commands_of_its_own_points(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    obeyed: list[tuple[str, Value]] = []

    async def obey(definition: PointDef, value: Value) -> CommandResult:
        obeyed.append((definition.id, value))
        return DONE

    bench.local.replace({index_of("reset_demand_peak"): obey})

    assert await bench.write("reset_demand_peak", True) is Outcome.DONE
    assert obeyed == [("m1.reset_demand_peak", True)]
    assert bench.carrier.seen == []


async def test_a_service_that_does_not_answer_is_timed_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    async def hang(definition: PointDef, value: Value) -> CommandResult:
        del definition, value
        await asyncio.Event().wait()
        return DONE

    bench.local.replace({index_of("reset_demand_peak"): hang})

    assert await bench.write("reset_demand_peak", True, within_s=2.0) is Outcome.TIMED_OUT


async def test_a_command_that_cannot_be_recorded_is_not_carried_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.write("demand_interval", 15.0)
    for path in bench.folder.iterdir():
        path.unlink()
    bench.folder.rmdir()

    assert await bench.write("demand_interval", 30.0) is Outcome.REFUSED_BY_POLICY
    assert bench.carrier.seen == [15.0]
    assert bench.audit.lost == 1


async def test_a_point_that_is_gone_is_not_writable(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.store.redefine([])

    assert await bench.write("demand_interval", 15.0) is Outcome.NOT_WRITABLE


async def test_the_same_refusal_again_and_again_is_one_record_with_a_count(tmp_path: Path) -> None:
    #
    bench = Bench(tmp_path)
    for _ in range(1000):
        await bench.write("demand_interval", 15.0, STRANGER)
    assert len(results(bench)) == 1

    await asyncio.sleep(1801)
    await bench.write("demand_interval", 15.0, STRANGER)

    assert [record.repeated for record in records(bench.folder)] == [0, 999, 0]
    assert verify(bench.folder).fault is None


async def test_an_origin_that_tries_everything_fills_no_disk(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for n in range(500):
        await bench.write("demand_interval", 15.0, Origin("bacnet", STRANGER.peer, f"user{n}"))

    assert len(results(bench)) == 51


async def test_what_was_counted_is_recorded_at_the_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    keeping = asyncio.ensure_future(bench.audit.run())
    await asyncio.sleep(1)
    for _ in range(3):
        await bench.write("demand_interval", 15.0, STRANGER)
    keeping.cancel()
    await asyncio.wait([keeping])

    assert newest(bench).repeated == 2


async def test_while_the_billing_lock_is_on_nothing_that_is_billed_by_is_reset(tmp_path: Path) -> None:
    # E-08, REQUIREMENTS a-16
    bench = Bench(tmp_path, access(rules=[{"match": "*"}]))
    known = defs()
    reset, lock = (
        PointDef(len(known) + n, f"m1.{name}", Kind.BINARY, writable=n == 0, role=role, meaning=meaning_of(name))
        for n, (name, role) in enumerate((("reset_partial_energy", Role.COMMAND), ("billing_lock", Role.STATUS)))
    )
    bench.store.redefine([*known, reset, lock], bench.store.devices())
    bench.router.apply(WritePolicy(access(rules=[{"match": "*"}])), access().limits)

    async def reset_partials() -> Outcome:
        deadline_ns = bench.clock.monotonic_ns() + 10**9
        return (await bench.router.submit(Command(reset.index, True, TECHNICIAN, deadline_ns))).outcome

    outcomes = [await reset_partials()]
    for value in (True, False):
        bench.store.publish([(lock.index, Sample(value, Quality.GOOD, 1, 2))])
        outcomes.append(await reset_partials())

    # before it was read nobody knows that it is off
    assert outcomes == [Outcome.REFUSED_BY_POLICY, Outcome.REFUSED_BY_POLICY, Outcome.DONE]
    assert "the billing lock of the meter is on" in {record.reason for record in records(bench.folder)}
    bench.store.publish([(lock.index, Sample(True, Quality.GOOD, 1, 3))])
    assert await bench.write("reset_demand_peak", True) is Outcome.DONE
