"""The net-snmp tools read the whole demo site by MIB name from the real worker, in every version and level."""

import asyncio
import os
import signal
import socket
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from bridge.core.alarm import Alarm
from bridge.core.point import Kind, PointDef
from bridge.core.quality import Quality
from bridge.core.units import UNITS
from bridge.projections.snmp.plan import Plan, Row, Shape
from tests.support.alarms import HeldAlarms
from tests.support.net_snmp import BIG, HAVE_TOOLS, LOOK, OPS, PRIVATE, PUBLIC, tool, walk
from tests.support.snmp_site import (
    facts,
    plan_of,
    point,
    projected,
    sample_of,
    spec_of,
    store_of,
    turn,
    value_of,
    writable_facts,
)
from tests.support.workers import running, services, until
from tests.support.workers import status as status_of

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.timeout(60),
    pytest.mark.skipif(not HAVE_TOOLS, reason="Debian package snmp"),
]
PORT = 21110
POINTS = {definition.index: definition for definition in facts().points}


def rows(plan: Plan) -> list[tuple[Row, PointDef]]:
    return [(row, POINTS[row.index]) for row in plan.rows]


def unquoted(text: str) -> str:
    return text.removeprefix('"').removesuffix('"')


def shown_as(definition: PointDef, text: str) -> bool:
    """Whether mbPointValue says the value, by what docs/protocols/snmp.md promises."""
    value = value_of(definition)
    match definition.kind:
        case Kind.ACCUMULATOR:
            assert isinstance(value, int)
            return Decimal(text) == Decimal(value).scaleb(definition.resolution)
        case Kind.ANALOG:
            return float(text) == value
        case Kind.BINARY | Kind.MULTISTATE:
            assert value is not None
            return text == dict(definition.states).get(int(value), str(int(value)))
        case Kind.TIME:
            return text.startswith("2023-11-14T2")
        case Kind.TEXT:
            # net-snmp shows octets beyond ASCII in hexadecimal
            return bytes.fromhex(text).decode() == value


# S-09
async def test_every_point_of_the_site_is_read_by_name_with_its_exact_value(tmp_path: Path) -> None:
    made = projected(PORT)
    async with running(store_of(facts()), [spec_of(made, tmp_path)]):
        table = await walk(PORT, PUBLIC, "mbPointTable")

    wrong = []
    for row, definition in rows(plan_of(made)):
        at = f"{row.device}.{row.number}"
        assert unquoted(table[f"mbPointName.{at}"]) == definition.name
        assert unquoted(table[f"mbPointUnits.{at}"]).replace("\u00b0", "") == definition.unit
        assert table[f"mbPointQuality.{at}"] == "good"
        if not shown_as(definition, unquoted(table[f"mbPointValue.{at}"])):
            wrong.append((definition.id, table[f"mbPointValue.{at}"], value_of(definition)))
    assert wrong == []


# S-07
async def test_typed_columns_show_the_quantity_in_their_units_and_energy_in_whole_wh(tmp_path: Path) -> None:
    made = projected(PORT)
    plan = plan_of(made)
    columns = {column.arc: column for column in plan.columns}
    async with running(store_of(facts()), [spec_of(made, tmp_path)]):
        table = await walk(PORT, PUBLIC, "mbMeasureTable")

    checked = 0
    for row, definition in rows(plan):
        if not row.column:
            continue
        column, value = columns[row.column], value_of(definition)
        said = unquoted(table.pop(f"{column.name}.{row.device}.{row.circuit}"))
        power = UNITS[definition.unit].exponent or 0
        if column.shape is Shape.COUNTER:
            assert isinstance(value, int)
            assert int(said.split()[0]) == int(Decimal(value).scaleb(definition.resolution + power)), definition.id
        elif column.shape is Shape.DECIMAL:
            assert isinstance(value, int)
            assert Decimal(said.split()[0]) == Decimal(value).scaleb(definition.resolution + power), definition.id
        elif column.shape is Shape.SCALED and definition.unit not in ("min", "h"):
            assert isinstance(value, float)
            exact = Decimal(repr(value)).scaleb(power - column.power)
            assert abs(int(said.split()[0]) - exact) <= Decimal("0.5"), definition.id
        checked += 1
    assert checked > 200
    assert table == {}


async def test_a_table_is_read_as_a_table(tmp_path: Path) -> None:
    async with running(store_of(facts()), [spec_of(projected(PORT), tmp_path)]):
        status, said = await tool("snmptable", PORT, f"{PUBLIC} -Ci -Cf |", "mbDeviceTable")

    assert status == 0
    head, *lines = [line for line in said.splitlines() if "|" in line]
    names = head.split("|")
    table = [dict(zip(names, line.split("|"), strict=False)) for line in lines]
    assert [line["mbDeviceName"] for line in table] == [device.id for device in facts().devices]
    assert {line["mbDeviceStatus"] for line in table} == {"online"}
    assert [line["mbDeviceMid"] for line in table] == ["true" if d.mid else "false" for d in facts().devices]


# S-02, S-04
@pytest.mark.parametrize("options", ["-v1 -c public", PUBLIC, PRIVATE, OPS, BIG, LOOK])
async def test_every_version_and_level_reads(tmp_path: Path, options: str) -> None:
    made = projected(PORT, system={"contact": "a person", "location": "a place", "name": "a name"})
    async with running(store_of(facts()), [spec_of(made, tmp_path)]):
        got = await tool("snmpget", PORT, f"{options} -Oqv", "mbDevices.0", ".1.3.6.1.2.1.1.4.0", ".1.3.6.1.2.1.1.5.0")
        following = await tool("snmpgetnext", PORT, f"{options} -OQ", "mbDeviceName")
        walked = await tool("snmpwalk", PORT, f"{options} -OQ", "mbDeviceTable")

    assert got == (0, f'{len(facts().devices)} meters\n"a person"\n"a name"\n')
    assert following[1].startswith("METERBRIDGE-MIB::mbDeviceName.1 = ")
    assert walked[1].count("\n") >= 60


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("-v2c -c guess", "Timeout"),
        ("-v3 -l noAuthNoPriv -u ops", "authorizationError"),
        ("-v3 -l authNoPriv -u ops -a SHA-256 -A auth-pass-1", "authorizationError"),
        (OPS.replace("-A auth-pass-1", "-A auth-pass-2"), "Authentication failure"),
        (OPS.replace("-u ops", "-u nobody"), "Unknown user name"),
    ],
)
async def test_who_is_not_known_sees_nothing(tmp_path: Path, options: str, complaint: str) -> None:
    async with running(store_of(facts()), [spec_of(projected(PORT), tmp_path)]):
        status, said = await tool("snmpget", PORT, options, "mbDevices.0")

    assert status != 0
    assert complaint in said


async def test_a_dead_meter_shows_in_quality_and_absent_typed_columns_while_its_values_are_held(tmp_path: Path) -> None:
    made, store = projected(PORT), store_of(facts())
    plan = plan_of(made)
    number = next(device.number for device in plan.devices if device.id == "main")
    async with running(store, [spec_of(made, tmp_path)]):
        before = await walk(PORT, PUBLIC, "mbPointTable")
        turn(store, "main", Quality.COMM_LOST)
        await until_status(number, "offline")
        lost, measures = await walk(PORT, PUBLIC, "mbPointTable"), await walk(PORT, PUBLIC, "mbMeasureTable")
        turn(store, "main", Quality.GOOD)
        await until_status(number, "online")
        back = await walk(PORT, PUBLIC, "mbPointTable")

    mine = [f"{row.device}.{row.number}" for row in plan.rows if row.device == number]
    assert {lost[f"mbPointQuality.{at}"] for at in mine} == {"commLost"}
    for name in ("mbPointValue", "mbPointTime", "mbPointScaled", "mbPointCounter"):
        assert {k: v for k, v in lost.items() if k.startswith(name)} == {
            k: v for k, v in before.items() if k.startswith(name)
        }
    assert [name for name in measures if name.split(".")[1] == str(number)] == []
    assert len(measures) > 100
    assert back == before


async def until_status(number: int, status: str) -> None:
    async with asyncio.timeout(5):
        while (await tool("snmpget", PORT, f"{PUBLIC} -Oqv", f"mbDeviceStatus.{number}"))[1].strip() != status:
            pass


# BARS S1
@pytest.mark.parametrize(
    ("options", "complaint"), [(PUBLIC, "noAccess"), (PRIVATE, "notWritable"), (OPS, "notWritable"), (BIG, "noAccess")]
)
async def test_out_of_the_box_every_set_is_refused_and_nothing_changes(
    tmp_path: Path, options: str, complaint: str
) -> None:
    made, store = projected(PORT, writable_facts()), store_of(writable_facts())
    wanted = point("landlord.overload_threshold")
    row = next(row for row in plan_of(made).rows if row.index == wanted.index)
    at = f"{row.device}.{row.number}"
    async with running(store, [spec_of(made, tmp_path)]):
        refused = [
            await tool("snmpset", PORT, options, f"mbPointValue.{at}", "s", "100"),
            await tool("snmpset", PORT, options, f"mbPointScaled.{at}", "i", "100"),
            await tool("snmpset", PORT, options, "mbDeviceName.1", "s", "x"),
        ]

    assert all(status == 2 and complaint in said for status, said in refused), refused
    assert store.get(wanted.index) == sample_of(wanted)


async def test_a_set_that_the_mapping_lets_through_is_carried_out_and_read_back(tmp_path: Path) -> None:
    made, store = projected(PORT, writable_facts(), access="read-write"), store_of(writable_facts())
    wanted = point("landlord.overload_threshold")
    row = next(row for row in plan_of(made).rows if row.index == wanted.index)
    at = f"{row.device}.{row.number}"
    async with running(store, [spec_of(made, tmp_path)]):
        done = await tool("snmpset", PORT, OPS, f"mbPointValue.{at}", "s", "101.5")
        await until(lambda: store.get(wanted.index).value == 101.5)
        scaled = await tool("snmpset", PORT, PRIVATE, f"mbPointScaled.{at}", "i", "99000")
        beyond = await tool("snmpset", PORT, PRIVATE, f"mbPointValue.{at}", "s", "1000")
        mid = [r for r in plan_of(made).rows if POINTS[r.index].mid]
        locked = await tool("snmpset", PORT, OPS, f"mbPointValue.{mid[0].device}.{mid[0].number}", "s", "1")

    assert done[0] == scaled[0] == 0
    assert store.get(wanted.index).value == 99.0
    assert "wrongValue" in beyond[1]
    assert "notWritable" in locked[1]


# BARS R9
async def test_a_killed_worker_is_back_in_three_seconds_as_the_same_engine_one_boot_later(tmp_path: Path) -> None:
    names = (".1.3.6.1.6.3.10.2.1.1.0", ".1.3.6.1.6.3.10.2.1.2.0")
    async with running(store_of(facts()), [spec_of(projected(PORT), tmp_path)]) as supervisor:
        *engine, boots = (await tool("snmpget", PORT, f"{OPS} -Oqv", *names))[1].splitlines()
        os.kill(status_of(supervisor, "snmp").pid, signal.SIGKILL)
        async with asyncio.timeout(3):
            while (again := await tool("snmpget", PORT, f"{PUBLIC} -Oqv", *names))[0] != 0:
                pass

    assert again[1].splitlines() == [*engine, str(int(boots) + 1)]


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
async def test_ipv6_is_served_the_same(tmp_path: Path) -> None:
    made = projected(listener={"port": PORT, "bind": "::1"})
    async with running(store_of(facts()), [spec_of(made, tmp_path)]):
        status, said = await tool("snmpget", PORT, f"{OPS} -Oqv", "mbDevices.0", host="udp6:[::1]")

    assert (status, said) == (0, f"{len(facts().devices)} meters\n")


async def test_active_alarms_are_a_table_and_leave_it_when_they_end(tmp_path: Path) -> None:
    wanted = point("landlord.active_power_total")
    alarm = Alarm(7, "power", "Power too high", "landlord", wanted.index, 200, 1_700_000_000 * 10**9, limit=20.0)
    core, store = HeldAlarms(alarm), store_of(facts())
    async with running(
        store, [spec_of(projected(PORT), tmp_path)], core=replace(services(store), alarms=core)
    ) as supervisor:

        async def active_are(count: int) -> dict[str, str]:
            async with asyncio.timeout(10):
                while await tool("snmpget", PORT, f"{PUBLIC} -Oqv", "mbAlarmsActive.0") != (0, f"{count} alarms\n"):
                    pass
            return await walk(PORT, PUBLIC, "mbAlarmTable")

        shown = await active_are(1)
        ended = msgspec.structs.replace(alarm, end_ns=alarm.start_ns + 1)
        core.put(ended)
        supervisor.alarm_changed(ended)
        left = await active_are(0)

    assert [name for name in left if "." in name] == []
    assert {name: unquoted(value) for name, value in shown.items()} == {
        "mbAlarmNumber.1": "7",
        "mbAlarmName.1": "power",
        "mbAlarmText.1": "Power too high",
        "mbAlarmDevice.1": "landlord",
        "mbAlarmPoint.1": "active_power_total",
        "mbAlarmPriority.1": "200",
        "mbAlarmSeverity.1": "high",
        # 2023-11-14 22:13:20.0 +0:0
        "mbAlarmStart.1": "07 E7 0B 0E 16 0D 14 00 2B 00 00 ",
        "mbAlarmLimit.1": "20",
        "mbAlarmAcknowledged.1": "false",
        "mbAlarmAcknowledgedBy.1": "",
    }


async def test_counters_of_interfaces_are_of_64_bits_too(tmp_path: Path) -> None:
    async with running(store_of(facts()), [spec_of(projected(PORT), tmp_path)]):
        _, names = await tool("snmpbulkwalk", PORT, f"{PUBLIC} -Oqn", ".1.3.6.1.2.1.31.1.1.1.1")
        _, before = await tool("snmpbulkwalk", PORT, f"{PUBLIC} -OQn", ".1.3.6.1.2.1.31.1.1.1.6")
        await asyncio.sleep(0.6)
        _, after = await tool("snmpbulkwalk", PORT, f"{PUBLIC} -On", ".1.3.6.1.2.1.31.1.1.1.6")

    loopback = next(line.split()[0].rsplit(".", 1)[1] for line in names.splitlines() if line.endswith('"lo"'))

    def octets(said: str) -> int:
        return next(int(line.split()[-1]) for line in said.splitlines() if line.split()[0].endswith(f".{loopback}"))

    assert "Counter64" in after
    assert octets(after) > octets(before) > 0
