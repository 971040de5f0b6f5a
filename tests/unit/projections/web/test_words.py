"""bridge.projections.web.words, labels, shown and health: what a person reads."""

import re
from pathlib import Path

import pytest

import bridge.projections.web
from bridge.core.event import EventKind
from bridge.core.point import Kind, PointDef, Role, Sample, Value
from bridge.core.quality import Quality
from bridge.core.quantity import meaning_of
from bridge.projections.web.guide import FINDINGS, TROUBLES
from bridge.projections.web.health import judged
from bridge.projections.web.labels import point_label
from bridge.projections.web.rows import ServerRow, StatusAnswer
from bridge.projections.web.shown import age_text, number_text, quality_class, time_text, value_text
from bridge.projections.web.words import FRENCH, Words, preferred

FOLDER = Path(bridge.projections.web.__path__[0])
SPACE = "\u202f"


def test_every_word_of_the_pages_has_a_french_one() -> None:
    pages = "".join(path.read_text() for path in (FOLDER / "templates").glob("*.html"))
    found = set(re.findall(r"""\b_\((?:"([^"]+)"|'([^']+)')\)""", pages))
    words = {one or other for one, other in found}
    words |= {text for trouble in TROUBLES for text in (trouble.symptom, trouble.causes, trouble.remedy)}
    words |= {*FINDINGS.values(), "fault", "warning", "note"}
    words |= {kind.value for kind in EventKind} | {str(flag.name).lower() for flag in Quality} | {"good"}

    assert len(words) > 100
    assert words - FRENCH.keys() == set()


def test_no_french_word_is_left_over() -> None:
    sources = "".join(path.read_text() for path in FOLDER.rglob("*") if path.suffix in (".html", ".py"))
    for own in ("words.py", "guide_words.py"):
        sources = sources.replace((FOLDER / own).read_text(), "")
    # long sentences stand on several lines
    sources = re.sub(r'"\n\s+"', "", sources)
    known = {kind.value for kind in EventKind} | {str(flag.name).lower() for flag in Quality}
    # states of devices, servers, frames and outcomes come from the core
    core = {"online", "unknown", "backing off", "starting", "ready", "waiting", "stopped", "not installed"}
    core |= {"sent", "ok", "crc", "mismatch", "incomplete", "timeout", "stray", "high", "medium", "low", "info", "none"}
    core |= {"done", "refused_by_policy", "not_writable", "busy", "timed_out", "device_refused"}

    used = {word for word in FRENCH if f'"{word}"' in sources or f"'{word}'" in sources}

    assert FRENCH.keys() - used - known - core == set()


@pytest.mark.parametrize(
    ("header", "language"),
    [("fr-FR,fr;q=0.9,en;q=0.8", "fr"), ("de,en;q=0.5,fr;q=0.4", "en"), ("", "en"), ("fr;q=x", "en"), ("*", "en")],
)
def test_the_language_is_what_the_browser_asks_for(header: str, language: str) -> None:
    assert preferred(header) == language


@pytest.mark.parametrize(
    ("text", "language", "shown"),
    [
        ("1234567.89", "en", f"1{SPACE}234{SPACE}567.89"),
        ("1234567.89", "fr", f"1{SPACE}234{SPACE}567,89"),
        ("-0.5", "fr", "\u22120,5"),
        ("999", "en", "999"),
        ("1000", "en", f"1{SPACE}000"),
    ],
)
def test_numbers_are_grouped_as_the_language_writes_them(text: str, language: str, shown: str) -> None:
    assert number_text(text, language) == shown


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        (Kind.ANALOG, 230.123456, "230.12"),
        (Kind.ANALOG, -0.98765, "\u22120.988"),
        (Kind.ANALOG, 123456.7, f"123{SPACE}457"),
        (Kind.ACCUMULATOR, 9007199254740993, f"90{SPACE}071{SPACE}992{SPACE}547{SPACE}409.93"),
        (Kind.MULTISTATE, 1, "on"),
        (Kind.MULTISTATE, 9, "9"),
        (Kind.BINARY, False, "off"),
        (Kind.TEXT, "", "\u2013"),
        (Kind.ANALOG, None, "\u2013"),
        (Kind.TIME, 1_700_000_000 * 10**9, "2023-11-14 22:13:20 UTC"),
    ],
)
def test_a_value_is_shown_in_the_words_of_its_kind(kind: Kind, value: Value, shown: str) -> None:
    definition = PointDef(1, "m.p", kind, resolution=-2, states=((0, "off"), (1, "on")))

    assert value_text(definition, Sample(value, Quality.GOOD, 1, 1), "en") == shown


def test_a_setting_that_is_a_whole_number_is_shown_as_one() -> None:
    definition = PointDef(1, "m.modbus_address", Kind.ANALOG, role=Role.SETTING)

    assert value_text(definition, Sample(11.0, Quality.GOOD, 1, 1), "en") == "11"


def test_a_time_that_is_none_is_a_dash() -> None:
    assert [time_text(ns) for ns in (0, -1, 10**21)] == ["\u2013"] * 3
    assert [age_text(s) for s in (None, 3, 200, 8000, 200_000)] == ["\u2013", "3 s", "3 min", "2 h", "2 d"]


def test_colours_are_those_of_the_worst_flag() -> None:
    flags = (Quality.GOOD, Quality.ROLLOVER, Quality.QUESTIONABLE, Quality.STALE, Quality.NEVER_READ | Quality.STALE)

    assert [quality_class(flag) for flag in flags] == ["good", "good", "doubtful", "bad", "none"]


@pytest.mark.parametrize(
    ("name", "french"),
    [
        ("active_power_total", "Puissance active totale"),
        ("active_energy_import_l1_t2", "Énergie active soutirée L1 T2"),
        ("ch2_voltage_l1_n", "Voie 2 : Tension L1-N"),
        ("digital_input_3", "Entrée logique 3"),
        ("no_such_quantity", "no_such_quantity"),
    ],
)
def test_points_have_french_names(name: str, french: str) -> None:
    definition = PointDef(1, f"m.{name}", Kind.ANALOG, meaning=meaning_of(name))

    assert point_label(definition, "fr") == french


def test_a_word_without_translation_stays_and_codes_lose_their_underlines() -> None:
    assert Words("fr")("Brand new") == "Brand new"
    assert Words("en")("comm_lost") == "comm lost"
    assert Words("xx").language == "en"


def test_a_server_that_cannot_be_installed_is_no_illness() -> None:
    row = ServerRow("iec61850", "not installed", False, "", 0, 0, "needs an extra", 0, {})

    assert judged(StatusAnswer(True, True, 1, [row], [], []), []).ok
