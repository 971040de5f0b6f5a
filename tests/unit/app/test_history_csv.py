"""app.history_csv: exact numbers, plain words, nothing a spreadsheet would run."""

import csv
import io
from pathlib import Path

import msgspec
import pytest

from bridge.app.history_csv import HistoryUnreadable, history_csv, iso, words
from bridge.core.event import Event
from bridge.core.point import NEVER_READ
from bridge.core.quality import Quality
from bridge.history.database import Database
from bridge.history.rows import IndexRow, Pending, ProofRow, SampleRow
from tests.support.clock import NEW_YEAR, SECOND

SITE = """
site: {name: tower}
channels: {lan: {kind: tcp, host: 10.0.0.1}}
devices: {one: {meter: socomec-countis-e2x, model: COUNTIS E27, channel: lan, unit: 1, labels: {tenant: "12"}}}
"""
ENERGY, POWER = "one.active_energy_import", "one.active_power_total"
QUARTER = 900 * SECOND


def tables(folder: Path) -> dict[str, list[dict[str, str]]]:
    return {name: list(csv.DictReader(io.StringIO(text))) for name, text in history_csv(folder)}


def with_history(folder: Path, pending: Pending) -> None:
    (folder / "site.yaml").write_text(SITE)
    (folder / "var" / "history").mkdir(parents=True)
    with Database(folder / "var" / "history" / "history.sqlite") as database:
        database.commit(pending)


def test_intervals_are_exact_and_empty_after_a_gap_and_over_two_epochs(tmp_path: Path) -> None:
    counts = [(99_999_990, 0), (15, 0), (None, 0), (40, 0), (3, 1), (7, 1)]
    rows = [IndexRow(ENERGY, NEW_YEAR + n * QUARTER, c, e, NEW_YEAR, 0) for n, (c, e) in enumerate(counts)]
    with_history(tmp_path, Pending(profile=rows))

    profile = tables(tmp_path)["profile.csv"]

    assert [row["reading"] for row in profile] == ["999999.90", "0.15", "", "0.40", "0.03", "0.07"]
    assert [row["interval"] for row in profile] == ["", "0.25", "", "", "", "0.04"]
    assert [row["quality"] for row in profile] == ["good", "good", "outage", "good", "good", "good"]
    assert (profile[0]["tenant"], profile[0]["unit"]) == ("12", "kWh")


def test_closing_readings_say_which_meter_and_when(tmp_path: Path) -> None:
    proof = ProofRow(ENERGY, "2026-01", 12_345, -2, "kWh", 1, "A17", NEW_YEAR + 30 * SECOND, 0)
    with_history(tmp_path, Pending(proofs=[proof]))

    (row,) = tables(tmp_path)["closings.csv"]

    assert (row["period"], row["reading"], row["serial_number"]) == ("2026-01", "123.45", "A17")
    assert row["read_at"] == "2026-01-01T00:00:30.000Z"


def test_no_text_becomes_a_formula(tmp_path: Path) -> None:
    event = Event(1, -1, NEVER_READ, "=cmd|'/c calc'!A1", time_ns=NEW_YEAR, device="one")
    samples = [SampleRow(POWER, NEW_YEAR, -1.5, 0), SampleRow("one.model", NEW_YEAR, "@evil", 0)]
    with_history(tmp_path, Pending(events=[(1, msgspec.msgpack.encode(event))], samples=samples))

    found = tables(tmp_path)

    assert found["events.csv"][0]["text"].startswith("'=")
    assert sorted(row["value"] for row in found["values.csv"]) == ["'@evil", "-1.5"]


def test_a_site_that_never_ran_has_no_history(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE)

    with pytest.raises(HistoryUnreadable, match="has this bridge ever run"):
        list(history_csv(tmp_path))


def test_qualities_and_times_are_words() -> None:
    assert words(0) == "good"
    assert words(int(Quality.STALE | Quality.COMM_LOST)) == "stale+comm_lost"
    assert (iso(0), iso(NEW_YEAR + 1_234_567)) == ("", "2026-01-01T00:00:00.001Z")


def test_profile_and_closing_readings_show_the_registers_as_the_meter_sent_them(tmp_path: Path) -> None:
    # E-14
    row = IndexRow(ENERGY, NEW_YEAR, 100_000, 0, NEW_YEAR, 0, b"\x00\x01\x86\xa0")
    proof = ProofRow(ENERGY, "2026-01", 100_000, -2, "kWh", 0, "A17", NEW_YEAR, 0, b"\x00\x01\x86\xa0")
    with_history(tmp_path, Pending(profile=[row], proofs=[proof]))

    found = tables(tmp_path)

    assert [r["registers"] for r in (*found["profile.csv"], *found["closings.csv"])] == ["0001 86a0", "0001 86a0"]
    assert [r["reading"] for r in found["profile.csv"]] == ["1000.00"]


@pytest.mark.parametrize(
    ("model", "words_"), [("COUNTIS E27", "not MID; not for billing others"), ("COUNTIS E28", "MID; ")]
)
def test_a_reading_says_whether_its_meter_is_certified(tmp_path: Path, model: str, words_: str) -> None:
    # E-18 M-33
    row = IndexRow(ENERGY, NEW_YEAR, 100_000, 0, NEW_YEAR, 0)
    with_history(tmp_path, Pending(profile=[row]))
    (tmp_path / "site.yaml").write_text(SITE.replace("COUNTIS E27", model))

    (found,) = tables(tmp_path)["profile.csv"]

    assert found["meter"].startswith(words_)
