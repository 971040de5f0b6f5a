"""Every kind of fault in a CID refuses the whole file and names its line."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import scl_loader
from lxml import etree

from bridge.projections.iec61850 import scl
from bridge.projections.iec61850.cid import cid, icd
from bridge.projections.iec61850.plan import ReportLayout
from bridge.projections.iec61850.sclxml import SIZE_LIMIT, CidError
from tests.support.mms_site import facts_for, plan_of, site

SITE = site(2)
RULES = [
    {"match": "*.digital_output_1", "control": "direct"},
    {"match": "*.digital_output_2", "control": "select-before-operate"},
    {"match": "*.tariff_select", "control": "direct"},
    {"match": "*.overload_threshold", "control": "direct"},
]
TEXT = cid(plan_of(SITE, rules=RULES), "1").decode()
FACTS = facts_for(SITE, rules=RULES)
IED = TEXT[TEXT.index("<IED") : TEXT.index("</IED>") + 6]
ACCESS = TEXT[TEXT.index("<AccessPoint") : TEXT.index("</AccessPoint>") + 14]


def swap(old: str, new: str) -> Callable[[], tuple[str, str]]:
    def mutate() -> tuple[str, str]:
        assert old in TEXT, old
        return TEXT.replace(old, new, 1), new

    return mutate


FAULTS = [
    ("missing node type", swap('lnType="MMXU_1"', 'lnType="NOPE"'), "lnType 'NOPE' is not defined"),
    ("node type of another class", swap('lnType="MMXU_1"', 'lnType="MMTR_1"'), "is for MMTR, not MMXU"),
    ("missing object type", swap('name="TotW" type="MV"', 'name="TotW" type="NOPE"'), "DOType 'NOPE' is not defined"),
    ("missing structure", swap('type="AnalogueValue"', 'type="NOPE"'), "DAType 'NOPE' is not defined"),
    ("missing enumeration", swap('type="HealthKind"', 'type="NOPE"'), "EnumType 'NOPE' is not defined"),
    ("type defined twice", swap('<DOType id="CMV"', '<DOType id="MV"'), "DOType MV is defined twice"),
    ("constraint of a member", swap('doName="TotW" fc="MX"', 'doName="TotW" fc="ZZ"'), "no such functional constraint"),
    (
        "member in the wrong constraint",
        swap('doName="TotW" fc="MX"', 'doName="TotW" fc="ST"'),
        "no such attribute with this functional constraint",
    ),
    ("member without object", swap('doName="Hz" fc', 'doName="Hzz" fc'), "no such data object"),
    (
        "member without node",
        swap('lnClass="MMTR" lnInst="1" doName', 'lnClass="MMTR" lnInst="7" doName'),
        "no such logical node",
    ),
    ("member attribute", swap('doName="Hz" fc', 'doName="Hz" daName="mag.i" fc'), "no such attribute"),
    (
        "report without data set",
        swap('datSet="dsAll" confRev', 'datSet="dsX" confRev'),
        "DataSet 'dsX' is not in this logical node",
    ),
    ("enumeration value", swap("<Val>Wh</Val>", "<Val>Whh</Val>"), "'Whh' is not in its EnumType"),
    ("basic type", swap('bType="INT64"', 'bType="INT128"'), "bType 'INT128' is not served"),
    ("array", swap('name="mag" bType', 'name="mag" count="4" bType'), "arrays are not served"),
    ("number in a Val", swap("<Val>30000</Val>", "<Val>-1</Val>"), "expected 0 to 4294967295"),
    (
        "normal security",
        swap("<Val>direct-with-enhanced-security</Val>", "<Val>direct-with-normal-security</Val>"),
        "use enhanced security",
    ),
    ("control without SBOw", swap('<DA name="SBOw"', '<DA name="SBOx"'), "sbo-with-enhanced-security needs SBOw"),
    ("no control model", swap("<Val>sbo-with-enhanced-security</Val>", ""), "ctlModel has no value"),
    ("object unknown to the type", swap('<DOI name="TotW"', '<DOI name="TotX"'), "DOI 'TotX' is not part of MMXU1"),
    (
        "attribute unknown to the type",
        swap('<DAI name="vendor">', '<DAI name="vender">'),
        "DAI 'vender' is not part of NamPlt",
    ),
    (
        "short address",
        swap('sAddr="pt:m1.active_power_total"', 'sAddr="m1.active_power_total"'),
        "is not pt:device.point",
    ),
    ("device twice", swap('<LDevice inst="m2" desc="m2">', '<LDevice inst="m1">'), "LDevice m1 comes twice"),
    ("node twice", swap('lnClass="MHAI" inst="1"', 'lnClass="LPHD" inst="1"'), "LPHD1 comes twice in m1"),
    ("name", swap('<DataSet name="dsAll">', '<DataSet name="1 ds">'), "is no name"),
    ("boolean", swap('buffered="true"', 'buffered="yes"'), "expected true or false, got 'yes'"),
    ("revision number", swap('confRev="1"', 'confRev="x"'), "confRev: expected 0 to"),
    ("log control", swap("<ReportControl ", '<LogControl name="l"/><ReportControl '), "LogControl is not served"),
    (
        "two devices",
        lambda: (TEXT.replace(IED, IED + "\n" + IED.replace("GW1", "GW2")), 'name="GW2"'),
        "expected one IED, found 2",
    ),
    (
        "two servers",
        lambda: (TEXT.replace(ACCESS, ACCESS + "\n" + ACCESS.replace("AP1", "AP2")), '<AccessPoint name="AP2"'),
        "expected one AccessPoint with a Server, found 2",
    ),
    ("no device", lambda: (TEXT.replace(IED, ""), "<SCL"), "expected one IED, found 0"),
    ("edition 1 file", swap('version="2007"', 'version="2003"'), "expected SCL 2007 B"),
    (
        "recursion",
        swap('<BDA name="ctlVal" bType="BOOLEAN"/>', '<BDA name="ctlVal" bType="Struct" type="OperateSPC"/>'),
        "contains itself",
    ),
]


@pytest.mark.parametrize(("mutate", "message"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_a_fault_refuses_the_file_and_names_the_line(mutate: Callable[[], tuple[str, str]], message: str) -> None:
    text, new = mutate()
    with pytest.raises(CidError) as refused:
        scl.load(text.encode(), FACTS)

    first = text.count("\n", 0, text.find(new)) + 1 if new else 0
    hits = [fault for fault in refused.value.faults if message in fault.message]
    assert hits, refused.value.faults
    assert not new or _near(text, hits[0].line, first), (hits[0], first)


def _near(text: str, line: int, expected: int) -> bool:
    """A fault of an object is named at the DOI or node around the mutation, or at the type that lacks something."""
    return abs(line - expected) <= 3 or bool(
        re.search(r"<(DOI|LN|DOType|LDevice|BDA|DAType)", text.splitlines()[line - 1])
    )


def test_all_faults_of_a_file_come_at_once() -> None:
    text = (
        TEXT.replace('lnType="MHAI_1"', 'lnType="NOPE"', 1)
        .replace('doName="Hz" fc', 'doName="Hzz" fc')
        .replace("<Val>Wh<", "<Val>Whh<")
    )
    with pytest.raises(CidError) as refused:
        scl.load(text.encode(), FACTS)

    messages = [fault.message for fault in refused.value.faults]
    assert sum("NOPE" in m for m in messages) == 1
    assert sum("Hzz" in m for m in messages) == 2
    assert sum("Whh" in m for m in messages) >= 2


def test_a_document_type_or_entity_is_refused() -> None:
    bomb = '<!DOCTYPE SCL [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    with pytest.raises(CidError, match="document type"):
        scl.load(TEXT.replace("<SCL", bomb + "<SCL", 1).encode())


def test_a_file_that_is_too_large_or_no_xml_is_refused() -> None:
    with pytest.raises(CidError, match="larger than"):
        scl.load(b" " * (SIZE_LIMIT + 1))
    with pytest.raises(CidError, match="not well-formed"):
        scl.load(b"<SCL")


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    folder = Path(scl_loader.__file__).parent / "resources" / "SCL_Schema"
    return etree.XMLSchema(etree.parse(str(folder / "SCL.xsd")))


@pytest.mark.parametrize("layout", ReportLayout)
@pytest.mark.parametrize("meters", [1, 60])
def test_an_exported_cid_passes_the_schema_and_loads(
    schema: etree.XMLSchema, layout: ReportLayout, meters: int
) -> None:
    facts = site(meters)
    text = cid(plan_of(facts, reports={"layout": layout.value}, rules=RULES), "1")

    assert schema.validate(etree.fromstring(text)), schema.error_log
    model = scl.load(text, facts_for(facts, rules=RULES))
    shown = {binding.point for binding in model.bindings if not binding.health_of}
    assert shown == {definition.id for definition in facts.points}
    assert model.addresses["IP"] == "127.0.0.1"


def test_an_icd_of_one_meter_passes_the_schema(schema: etree.XMLSchema) -> None:  # I-07
    plan = plan_of(SITE)

    text = icd(plan, plan.meters[0], "1")

    assert schema.validate(etree.fromstring(text)), schema.error_log
    assert b'<IED name="TEMPLATE"' in text


def test_a_binding_knows_its_object_leaf_type_and_control() -> None:
    found = {binding.point: binding for binding in scl.load(TEXT.encode(), FACTS).bindings}

    phase_b, counter = found["m1.current_l2"], found["m2.active_energy_import"]
    assert (phase_b.object, phase_b.leaf) == ("m1/MMXU1.A.phsB", "cVal.mag.f")
    assert (counter.object, counter.b_type) == ("m2/MMTR1.SupWh", "INT64")
    assert found["m1.digital_output_2"].control == "sbo-with-enhanced-security"
    assert found["m1.overload_threshold"].object == "m1/GGIO1.AnOut1"


def test_a_binding_to_a_point_that_is_not_there_or_does_not_fit_is_a_fault() -> None:
    gone = TEXT.replace("pt:m1.active_power_total", "pt:m1.gone").encode()
    with pytest.raises(CidError, match=r"TotW\.mag\.f: 'm1.gone' is no point"):
        scl.load(gone, FACTS)
    wrong = TEXT.replace("pt:m1.active_power_total", "pt:m1.active_energy_import").encode()
    with pytest.raises(CidError, match="is accumulator, which FLOAT32 cannot hold"):
        scl.load(wrong, FACTS)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "<Val>10</Val>",
            "<Val>1</Val>",
            "pulsQty 1.0 and multiplier 0 are not the step of 'm1.active_energy_import', 10",
        ),
        ("<Val>10</Val>", "<Val>0.01</Val>", "are not the step"),
        ("<Val>k</Val>", "<Val/>", "multiplier is 10^0, but 'm1.active_power_l1' is measured in 10^3"),
        ("<Val>VAr</Val>", "<Val>W</Val>", "SIUnit is 38, but 'm1.reactive_power_total' is measured in unit 63"),
    ],
    ids=["step", "step no float32 holds", "power of ten", "unit"],
)
def test_a_unit_or_step_that_is_not_the_meters_is_a_fault(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(CidError, match=re.escape(message)):
        scl.load(TEXT.replace(old, new, 1).encode(), FACTS)


def test_a_step_may_be_written_another_way_if_it_is_the_same() -> None:
    at = TEXT.index('sAddr="pt:m1.active_energy_import"')
    tail = TEXT[at:].replace("<Val></Val>", "<Val>da</Val>", 1).replace("<Val>10</Val>", "<Val>1</Val>", 1)

    assert scl.load((TEXT[:at] + tail).encode(), FACTS).ied == "GW1"


def test_a_file_cannot_arm_an_output_that_the_mapping_does_not_name() -> None:  # I-06
    with pytest.raises(CidError, match=r"the mapping does not let 'm1.digital_output_1' be commanded"):
        scl.load(TEXT.encode(), facts_for(SITE))


@pytest.mark.parametrize(
    ("old", "message"),
    [
        ('<DO name="NamPlt" type="LPL_LLN0"/>', "LLN0 lacks NamPlt"),
        ('<DO name="PhyHealth" type="ENS_Health"/>', "LPHD1 lacks PhyHealth"),
        ('<DO name="Beh" type="ENS_Beh"/>', "lacks Beh"),
        ('<DA name="swRev" bType="VisString255" fc="DC"/>', "LPL lacks swRev"),
    ],
)
def test_a_mandatory_part_that_is_missing_is_a_fault(old: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(CidError, match=message):
        scl.load(TEXT.replace(old, "").encode(), FACTS)


def test_the_health_of_a_device_that_is_not_there_is_a_fault() -> None:
    with pytest.raises(CidError, match="'m9' is no device"):
        scl.load(TEXT.replace("dev:m1", "dev:m9").encode(), FACTS)
