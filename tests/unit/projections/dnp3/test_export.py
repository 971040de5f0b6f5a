"""Implementation table, point list and device profile: made from the plan, true of the outstation."""

import csv
import io
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bridge.projections.dnp3.application import Function, Iin, Qualifier
from bridge.projections.dnp3.export import COLUMNS, EXPORTS, point_list
from bridge.projections.dnp3.implementation import Row, describe, markdown, table
from bridge.projections.dnp3.objects import GROUPS, PointType
from bridge.projections.dnp3.plan import Plan
from bridge.projections.dnp3.profile import NAMESPACE, device_profile
from bridge.projections.dnp3.table import PointConfig
from bridge.projections.dnp3.tables import PointTables
from tests.support.dnp3_master import Master, iin
from tests.support.dnp3_site import projected
from tests.support.modbus_site import site

FACTS = site(2)
DOCUMENT = Path(__file__).parents[4] / "docs" / "protocols" / "dnp3.md"
# What stands behind a qualifier for point 0 of one.
_SPAN = {
    Qualifier.RANGE_8: "00 00",
    Qualifier.RANGE_16: "0000 0000",
    Qualifier.ALL: "",
    Qualifier.COUNT_8: "01",
    Qualifier.COUNT_16: "0100",
    Qualifier.INDEX_8: "01 00",
    Qualifier.INDEX_16: "0100 0000",
}
_TIME = 1_700_000_000_000


def plan_of(**more: object) -> Plan:
    plan = projected(FACTS, 20000, **more).plan
    assert isinstance(plan, Plan)
    return plan


def master_with_everything() -> Master:
    """One point of every type, online, with an event of every type waiting."""
    points: dict[PointType, list[PointConfig]] = {
        point_type: [PointConfig(0, event_class=1)]
        for point_type, groups in GROUPS.items()
        if groups.static and point_type is not PointType.OCTET_STRING
    }
    tables = PointTables({**points, PointType.OCTET_STRING: [PointConfig(0, event_class=1)]})
    master = Master(tables, about={252: b"\x01\x01A"})
    for point_type in points:
        tables.update(point_type, 0, 1, 1, _TIME)
    tables.update_string(0, b"text", _TIME)
    return master


READS = [(row, q) for row in table() if Function.READ in row.request[0] for q in row.request[1]]


# D-03
@pytest.mark.parametrize(("row", "qualifier"), READS, ids=[f"g{r.group}v{r.variation}-{int(q):02x}" for r, q in READS])
def test_every_read_the_table_claims_is_answered_as_it_says(row: Row, qualifier: int) -> None:
    master = master_with_everything()
    span = "07 07" if (row.group, qualifier) == (80, 0) else _SPAN[Qualifier(qualifier)]

    answer = master.ask(1, f"{row.group:02x}{row.variation:02x}{qualifier:02x}" + span)

    assert not iin(answer) & (Iin.OBJECT_UNKNOWN | Iin.PARAM_ERROR | Iin.NO_FUNCTION)
    if row.response and row.group not in (13, 43) and answer[4:]:
        objects = [answer[4:7], answer[14:17]] if row.group in (2, 4) and row.variation == 3 else [answer[4:7]]
        assert any(o[0] == row.group and (o[2] in row.response or o[1] == 1) for o in objects)


def test_writes_and_assignments_the_table_claims_are_taken() -> None:
    master = master_with_everything()
    size = {1: 2, 2: 4, 3: 4}
    for row in table():
        functions, qualifiers = row.request
        for qualifier in qualifiers:
            head = f"{row.group:02x}{row.variation:02x}{int(qualifier):02x}" + _SPAN[Qualifier(qualifier)]
            if Function.WRITE in functions and row.group == 34:
                assert not iin(master.ask(2, head + "01" + "00" * (size[row.variation] - 1))) & 0x0F00
            elif Function.WRITE in functions and row.group == 50:
                assert not iin(master.ask(2, head + "000000000000")) & 0x0F00
            elif Function.ASSIGN_CLASS in functions:
                assert not iin(master.ask(22, ("" if row.group == 60 else "3c0206") + head)) & 0x0F00
            elif Function.FREEZE in functions:
                assert not iin(master.ask(7, head)) & 0x0F00


def test_layouts_are_told_in_words() -> None:
    assert describe("FIT") == "32-bit, with flags, with time"
    assert describe("d") == "double precision, without flags"
    assert describe("P") == "packed"
    assert describe("FR") == "with flags, with relative time"
    assert describe("SdT") == "double precision, with status, with time"


def test_the_document_shows_the_table_as_it_is() -> None:
    assert markdown() in DOCUMENT.read_text(encoding="utf-8")


# D-03
def test_the_point_list_has_every_point_once_with_what_it_counts_in() -> None:
    plan = plan_of(masters=[{"allow": ["freeze"]}])
    rows = list(csv.DictReader(io.StringIO(point_list(plan, FACTS.points))))

    assert tuple(rows[0]) == COLUMNS
    frozen = [r for r in rows if r["type"] == "frozen_counter"]
    assert len(rows) == len(plan.points) + len(frozen)
    assert len(frozen) == sum(p.type is PointType.COUNTER for p in plan.points)
    assert len({(r["type"], r["index"]) for r in rows}) == len(rows)
    energy = [r for r in rows if r["point"] == "m1.active_energy_import"]
    assert [(r["type"], r["scale"], r["unit"], r["class"]) for r in energy] == [
        ("counter", "0.01", "kWh", "3"),
        ("frozen_counter", "0.01", "kWh", "0"),
        ("analog_input", "1", "kWh", "0"),
    ]
    direction = next(r for r in rows if r["point"] == "m1.energy_direction")
    assert (direction["static_variation"], direction["states"]) == ("1", "0 = Import; 1 = Export")


# D-03
def test_the_profile_is_well_formed_and_tells_points_and_settings() -> None:
    plan = plan_of(masters=[{"address": 7, "outstation": 70, "allow": ["freeze"], "unsolicited": True}])
    root = ElementTree.fromstring(device_profile(plan, FACTS.points, "1.2.3").encode())
    ns = {"d": NAMESPACE}

    def texts(path: str) -> list[str]:
        return [found.text or "" for found in root.findall(path, ns)]

    assert texts(".//d:dataLinkAddress/d:currentValue/d:value") == ["70"]
    assert texts(".//d:expectedSourceAddress/d:currentValue/d:value") == ["7"]
    assert texts(".//d:softwareVersion/d:currentValue/d:value") == ["1.2.3"]
    assert root.find(".//d:supportsUnsolicitedReporting/d:currentValue/d:on", ns) is not None
    counters = [p for p in plan.points if p.type is PointType.COUNTER]
    assert texts(".//d:counter/d:index") == [str(p.number) for p in sorted(counters, key=lambda p: p.number)]
    assert set(texts(".//d:counter/d:frozenCounterExists")) == {"true"}
    assert texts(".//d:counter/d:defaultCounterEventVariation") == ["five"] * len(counters)
    rows = [(row, function) for row in table() for function in row.request[0] or (0,)]
    told = root.findall(".//d:supportedVariation", ns)
    assert [one.findtext("d:objectGroup", namespaces=ns) for one in told] == [str(row.group) for row, _ in rows]
    assert [one.findtext("d:request/d:functionCode", "0", ns) for one in told] == [str(int(f)) for _, f in rows]


# D-03
def test_the_profile_tells_of_an_output_only_what_a_master_may_do_with_it() -> None:
    ns = {"d": NAMESPACE}

    def operations(**more: object) -> set[str]:
        root = ElementTree.fromstring(device_profile(plan_of(**more), FACTS.points, "1").encode())
        found = root.findall(".//d:binaryOutput/d:supportedControlOperations/*", ns)
        return {one.tag.partition("}")[2] for one in found}

    assert operations() == operations(access="read-write") == set()
    assert {"supportSelectOperate", "supportLatchOn"} < operations(
        access="read-write", masters=[{"allow": ["control"]}]
    )


def test_serial_masters_are_in_the_profile_too() -> None:
    plan = plan_of(masters=[{"serial": {"port": "/dev/ttyS1", "baud": 19200}}, {"address": 2}])
    text = device_profile(plan, FACTS.points, "1")

    assert "/dev/ttyS1" in text
    assert "19200" in text


def test_the_export_command_finds_both() -> None:
    made = {name: [file for file, _ in make(plan_of(), FACTS)] for name, make in EXPORTS.items()}

    assert made == {"dnp3-profile": ["dnp3-device-profile.xml"], "dnp3-points": ["dnp3-points.csv"]}
