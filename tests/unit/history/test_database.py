"""history.database: what is written comes back, or not at all."""

import sqlite3
from pathlib import Path

import pytest

from bridge.history.database import Database
from bridge.history.rows import IndexRow, Pending, ProofRow, SampleRow, checksum

PROFILE = IndexRow("m.e", 900, 123, 1, 899, 0)
PROOF = ProofRow("m.e", "2026-01", 123, -2, "kWh", 1, "A1", 899, 0)
SAMPLE = SampleRow("m.v", 10, 230.5, 0)


def pending(**what: object) -> Pending:
    made = Pending()
    for name, value in what.items():
        setattr(made, name, value)
    return made


def test_everything_written_comes_back(tmp_path: Path) -> None:
    with Database(tmp_path / "h.sqlite") as database:
        database.commit(
            pending(
                kept={("index", "m.e"): b"one"},
                events=[(1, b"a"), (2, b"b")],
                profile=[PROFILE],
                proofs=[PROOF],
                samples=[SAMPLE],
            )
        )

    with Database(tmp_path / "h.sqlite") as again:
        assert again.kept("index") == {"m.e": b"one"}
        assert again.events() == [(1, b"a"), (2, b"b")]
        assert again.profile("m.e") == [PROFILE]
        assert again.proofs("m.e") == [PROOF]
        assert again.samples("m.v") == [SAMPLE]
        assert again.check() == ""


def test_what_is_no_longer_kept_is_gone(tmp_path: Path) -> None:
    with Database(tmp_path / "h.sqlite") as database:
        database.commit(pending(kept={("alarm", "1"): b"one"}))
        database.commit(pending(kept={("alarm", "1"): None}))

        assert database.kept("alarm") == {}


def test_events_are_a_ring(tmp_path: Path) -> None:
    with Database(tmp_path / "h.sqlite", event_ring=10) as database:
        for number in range(1, 26):
            database.commit(pending(events=[(number, b"x")]))

        assert [number for number, _ in database.events()] == list(range(16, 26))


def test_a_commit_is_whole_or_nothing(tmp_path: Path) -> None:
    with Database(tmp_path / "h.sqlite") as database:
        with pytest.raises(sqlite3.Error):
            database.commit(pending(events=[(1, b"a")], samples=[SampleRow(None, 1, 1.0, 0)]))  # type: ignore[arg-type]

        assert database.events() == []


def test_a_value_of_another_type_is_another_row() -> None:
    assert checksum("a", 1) != checksum("a", 1.0)
    assert checksum("a", "b") != checksum("ab", "")


def test_indexes_are_written_through_to_the_disk(tmp_path: Path) -> None:
    with Database(tmp_path / "h.sqlite") as database:
        settings = {name: database.pragma(name) for name in ("journal_mode", "synchronous")}

    # 2 = FULL
    assert settings == {"journal_mode": "wal", "synchronous": 2}


def test_another_process_reads_while_it_is_written(tmp_path: Path) -> None:
    with Database(tmp_path / "h.sqlite") as database:
        database.commit(pending(events=[(1, b"a")]))
        reader = sqlite3.connect(f"file:{tmp_path}/h.sqlite?mode=ro", uri=True)
        reader.execute("BEGIN")
        before = reader.execute("SELECT count(*) FROM event").fetchone()
        database.commit(pending(events=[(2, b"b")]))
        during = reader.execute("SELECT count(*) FROM event").fetchone()
        reader.close()

    assert (before, during) == ((1,), (1,))


def test_a_row_with_a_flipped_bit_is_nobodys(tmp_path: Path) -> None:
    # BARS R7
    with Database(tmp_path / "h.sqlite") as database:
        database.commit(pending(profile=[PROFILE, IndexRow("m.e", 1800, 130, 1, 1799, 0)]))
    raw = sqlite3.connect(tmp_path / "h.sqlite")
    raw.execute("UPDATE profile SET count = count + 4096 WHERE at_ns = 900")
    raw.commit()
    raw.close()

    with Database(tmp_path / "h.sqlite") as again:
        assert [row.count for row in again.profile("m.e")] == [130]
        assert again.check() == "checksum of a row of profile: 'm.e', 900"
