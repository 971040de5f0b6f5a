"""bridge.projections.modbus.export: the register list"""

import csv
import io
from html.parser import HTMLParser

from bridge.projections.modbus.export import COLUMNS, register_list, register_page
from bridge.projections.modbus.plan import Plan
from tests.support.modbus_site import projected, site


def rows(**keys: object) -> list[dict[str, str]]:
    facts = site(2)
    plan = projected(facts, **keys).plan
    assert isinstance(plan, Plan)
    return list(csv.DictReader(io.StringIO(register_list(plan, facts.points))))


def test_an_energy_is_listed_with_every_form_it_has_and_where_it_stands() -> None:
    found = [r for r in rows() if r["point"] == "m2.active_energy_import" and r["unit_id"] == "255"]

    assert [(*(r[c] for c in COLUMNS[:8]), r["shows"]) for r in found] == [
        ("registers", "255", "500", "4", "int64", "ABCD", "0.01", "kWh", "value"),
        ("registers", "255", "504", "4", "float64", "ABCD", "1", "kWh", "value"),
        ("registers", "255", "508", "2", "float32", "ABCD", "1", "kWh", "indicative"),
        ("registers", "255", "750", "1", "uint16", "ABCD", "1", "flags", "quality"),
        ("registers", "255", "800", "4", "time", "ABCD", "1", "UTC ms", "source time"),
    ]


def test_a_command_is_a_coil_that_says_whether_it_can_be_written() -> None:
    coils = [r for r in rows() if r["table"] == "coils" and r["unit_id"] == "1"]
    opened = [r for r in rows(access="read-write") if r["table"] == "coils" and r["unit_id"] == "1"]

    assert [(r["address"], r["point"], r["access"]) for r in coils] == [("0", "m1.reset_demand_peak", "read")]
    assert [r["access"] for r in opened] == ["read-write"]


def test_scaled_integers_and_constants_say_their_step_and_their_words() -> None:
    entries = [
        {"unit": 9, "address": 10, "source": "m1.voltage_l1", "format": "int32", "scale": 0.01, "word_order": "CDAB"},
        {"unit": 9, "address": 20, "source": "m1.active_energy_import", "format": "uint32", "scale": 10},
        {"unit": 9, "address": 30, "source": "m1.demand_peak_timestamp", "format": "uint32"},
        {"unit": 9, "address": 40, "constant": 258},
    ]
    found = rows(map={"mode": "custom", "entries": entries})

    assert [(r["address"], r["type"], r["word_order"], r["scale"]) for r in found] == [
        ("10", "int32", "CDAB", "0.01"),
        ("20", "uint32", "ABCD", "10"),
        ("30", "uint32", "ABCD", "1"),
        ("40", "constant", "ABCD", ""),
    ]
    assert found[3]["shows"] == "0102"


def test_no_register_is_listed_twice() -> None:
    seen = [
        (r["table"], r["unit_id"], int(r["address"]) + n)
        for r in rows(holes="exception")
        for n in range(int(r["registers"]))
    ]

    assert len(seen) == len(set(seen))


class Tables(HTMLParser):
    """The rows of every section of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.sections: list[list[list[str]]] = []
        self.units: list[str] = []
        self._in = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in = tag
        if tag == "section":
            self.sections.append([])
        elif tag == "tr" and self.sections:
            self.sections[-1].append([])
        elif tag == "td":
            self.sections[-1][-1].append("")

    def handle_data(self, data: str) -> None:
        if self._in == "td":
            self.sections[-1][-1][-1] += data.strip("\n")
        elif self._in == "h2" and data.strip():
            self.units.append(data.removeprefix("Unit id "))


def test_the_page_to_print_says_what_the_csv_says_unit_by_unit() -> None:
    facts = site(2)
    plan = projected(facts).plan
    assert isinstance(plan, Plan)
    page = Tables()
    page.feed(register_page(plan, facts.points))
    listed: dict[str, list[list[str]]] = {}
    for row in rows():
        listed.setdefault(row.pop("unit_id"), []).append(list(row.values()))

    assert dict(zip(page.units, [section[1:] for section in page.sections], strict=True)) == listed
    assert page.units == sorted(listed, key=int)
