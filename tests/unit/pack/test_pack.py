"""The documents of the whole site, read by other code than made them: phable, rdflib and the Brick ontology."""

from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from brickschema import Graph
from phable.io.ph_json import ph_from_json
from phable.io.ph_zinc import ph_from_zinc
from phable.kinds import Grid, Ref
from rdflib import RDF, RDFS, Namespace, URIRef
from rdflib import Graph as RdfGraph

from bridge.app.export import ALL, export_site
from bridge.app.faces import site_facts
from bridge.config.load import load_site
from bridge.core.point import DeviceDef, Kind, PointDef
from bridge.core.ports import SiteFacts
from bridge.pack import brick, haystack
from bridge.pack.index import FILE_NAME
from bridge.pack.notices import MID, NOT_MID
from tests.support.modbus_site import device

# untyped: a marker has no value
MARKER: object = ph_from_json('{"_kind": "marker"}')
DEMO = Path(__file__).parents[3] / "mappings" / "demo"
BRICK = Namespace("https://brickschema.org/schema/Brick#")
# classes of the submeter list that were renamed after Brick 1.1 (bridge.core.ontology)
OLD_CLASSES = {"Active_Energy_Sensor", "Peak_Power_Demand_Sensor"}


@pytest.fixture(scope="module")
def demo() -> SiteFacts:
    return site_facts(load_site(DEMO))


@pytest.fixture(scope="module")
def ontology() -> Graph:
    """Brick 1.5: all the classes that were not renamed."""
    return Graph(load_brick=True, brick_version="1.5")


def grids(site: SiteFacts) -> list[Grid]:
    made = [ph_from_zinc(haystack.zinc(site)), ph_from_json(haystack.hayson(site))]
    assert all(isinstance(grid, Grid) for grid in made)
    return [grid for grid in made if isinstance(grid, Grid)]


# P-13
def test_zinc_and_json_say_the_same_and_every_point_is_in_them(demo: SiteFacts) -> None:
    zinc, json = grids(demo)

    assert [dict(row) for row in zinc.rows] == [dict(row) for row in json.rows]
    points = [row for row in zinc.rows if "point" in row]
    assert len(points) == sum(bool(definition.tags) for definition in demo.points)
    assert len({row["id"].val for row in zinc.rows}) == len(zinc.rows)


def test_every_point_refers_to_its_meter_and_site_and_names_its_unit(demo: SiteFacts) -> None:
    rows = {row["id"].val: row for row in grids(demo)[0].rows}
    power = rows["demo.main.active_power_l1"]

    assert power["equipRef"] == Ref("demo.main", "main")
    assert power["siteRef"] == Ref("demo", "demo")
    assert (power["unit"], power["kind"], power["phase"]) == ("kW", "Number", "L1")
    assert {tag for tag in ("sensor", "elec", "power", "active", "ac", "point") if power[tag] == MARKER} == {
        "sensor",
        "elec",
        "power",
        "active",
        "ac",
        "point",
    }
    assert rows["demo.main"]["meter"] == MARKER
    assert all(row["equipRef"].val in rows for row in rows.values() if "equipRef" in row)


# E-18, M-33
def test_a_meter_says_whether_one_may_bill_by_it(demo: SiteFacts) -> None:
    rows = {row["dis"]: row for row in grids(demo)[0].rows if "meter" in row}

    assert (rows["landlord"]["notice"], rows["landlord"]["mid"]) == (MID, MARKER)
    assert rows["heat-pump"]["notice"] == NOT_MID
    assert "mid" not in rows["heat-pump"]
    assert "no legal value" in MID
    assert f"{MID}" in brick.turtle(demo)


def strange_site() -> SiteFacts:
    label = 'a "b" \\ $c\nd é <script>'
    definition = PointDef(0, "m1.x", Kind.MULTISTATE, states=((0, 'o"n'),), label=label, tags=("sensor", "point"))
    own = PointDef(1, "sums.y", Kind.ANALOG, unit="kW", tags=("sensor", "point"), brick="Sensor")
    strange: DeviceDef = msgspec.structs.replace(device(1), vendor=label, labels={"tenant": label, "no tag": "x"})
    return SiteFacts("Straße 1/2", [msgspec.structs.replace(definition, brick="Sensor"), own], [strange])


def test_no_text_of_the_site_breaks_out_of_its_document() -> None:
    site = strange_site()
    label = site.points[0].label
    zinc, json = grids(site)
    graph = RdfGraph().parse(data=brick.turtle(site), format="turtle")

    for grid in (zinc, json):
        assert [row["dis"] for row in grid.rows] == ["Straße 1/2", "m1", label, "y"]
        assert grid.rows[1]["tenant"] == label
    assert label in {str(text) for text in graph.objects(None, RDFS.label)}


def test_a_point_of_no_meter_belongs_to_the_site() -> None:
    rows = grids(strange_site())[0].rows

    assert "equipRef" not in rows[3]
    assert rows[3]["siteRef"] == rows[0]["id"]


# P-13
def test_every_class_of_the_brick_model_is_one_brick_knows(demo: SiteFacts, ontology: Graph) -> None:
    graph = RdfGraph().parse(data=brick.turtle(demo), format="turtle")
    classes = {str(kind).removeprefix(str(BRICK)) for kind in graph.objects(None, RDF.type)}
    unknown = {name for name in classes if (BRICK[name], None, None) not in ontology}

    assert unknown <= OLD_CLASSES
    assert "Electrical_Meter" in classes
    assert len(set(graph.subjects(BRICK.isPointOf))) == sum(bool(d.brick) for d in demo.points)
    meters = set(graph.subjects(RDF.type, BRICK.Electrical_Meter))
    assert len(meters) == len(demo.devices)
    assert set(graph.objects(None, BRICK.isPointOf)) == meters


def test_every_unit_of_the_brick_model_is_one_of_qudt(demo: SiteFacts) -> None:
    # of Brick's versions 1.2 brings most of QUDT's units; its volt has the older name
    ontology = Graph(load_brick=True, brick_version="1.2")
    graph = RdfGraph().parse(data=brick.turtle(demo), format="turtle")
    units = {unit for unit in graph.objects(None, BRICK.hasUnit) if isinstance(unit, URIRef)}

    assert len(units) > 5
    known = {unit for unit in units if (unit, None, None) in ontology or (None, None, unit) in ontology}
    assert {str(unit).rpartition("/")[2] for unit in units - known} == {"V"}


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("href", "src")]
        assert tag != "script"


def test_the_cover_page_links_every_file_of_the_pack_and_nothing_from_outside() -> None:
    files = dict(export_site(DEMO, ALL))
    page = Links()
    page.feed(files[FILE_NAME])

    assert sorted(page.found) == sorted(set(files) - {FILE_NAME})
    assert {"haystack.zinc", "haystack.json", "brick.ttl", "modbus-registers.csv"} <= set(page.found)
    assert "<td></td></tr>" not in files[FILE_NAME]
    assert "public" not in files[FILE_NAME]


def test_one_document_can_be_asked_for_by_name() -> None:
    assert [name for name, _ in export_site(DEMO, "haystack")] == ["haystack.zinc", "haystack.json"]
