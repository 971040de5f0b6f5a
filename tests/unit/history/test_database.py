"""history.database: what is written comes back, or not at all."""

import sqlite3
from pathlib import Path

import pytest

from bridge.history.database import Database
from bridge.history.rows import IndexRow, Pending, ProofRow, SampleRow, Tidying, checksum

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


def rows(count: int) -> list[SampleRow]:
    """Values n at n seconds, from 1."""
    return [SampleRow("m.v", n * 10**9, float(n), 0) for n in range(1, count + 1)]


@pytest.mark.parametrize(
    ("first", "most", "since_s", "begins", "values"),
    [
        (1, 3, None, 4, []),
        (1, 5, None, 4, [4, 5]),
        (4, 2, None, 4, [4, 5]),
        (8, 9, None, 8, [8, 9, 10]),
        (11, 5, None, 11, []),
        (-5, 0, None, 4, []),
        (0, 2, 6.5, 7, [7, 8]),
        (-2, 2, 6, 4, [4, 5]),
        (-9, 9, 6, 4, [4, 5]),
        (0, 2, 11, 11, []),
    ],
)
def test_rows_keep_their_numbers_when_old_ones_go(
    tmp_path: Path, first: int, most: int, since_s: float | None, begins: int, values: list[float]
) -> None:
    since_ns = None if since_s is None else int(since_s * 1e9)
    with Database(tmp_path / "h.sqlite") as database:
        database.commit(pending(samples=rows(10)))
        database.tidy([Tidying("m.v", samples_ns=2 * 10**9)])
        database.tidy([Tidying("m.v", samples_ns=4 * 10**9), Tidying("m.other", samples_ns=4 * 10**9)])

        found = database.numbered("sample", "m.v", first, most, since_ns)

    assert (found.first, found.oldest, found.newest) == (begins, 4, 10)
    assert [cells[2] for cells, sound in found.rows if sound] == values


def test_a_damaged_row_keeps_its_number_and_is_said_to_be_damaged(tmp_path: Path) -> None:
    with Database(tmp_path / "h.sqlite") as database:
        database.commit(pending(samples=rows(3)))
    sql = sqlite3.connect(tmp_path / "h.sqlite")
    sql.execute("UPDATE sample SET value = 9 WHERE at_ns = 2000000000")
    sql.commit()
    sql.close()

    with Database(tmp_path / "h.sqlite") as database:
        found = database.numbered("sample", "m.v", 1, 9, None)

    assert [sound for _, sound in found.rows] == [True, False, True]


def test_the_newest_day_and_month_of_every_point_are_found_at_once(tmp_path: Path) -> None:
    periods = ("2025-12", "2025-12-31", "2026-01", "2026-01-30", "2026-01-31")
    proofs = [ProofRow(point, period, 1, -2, "kWh", 1, "A", 9, 0) for point in ("a.e", "b.e") for period in periods]
    with Database(tmp_path / "h.sqlite") as database:
        database.commit(pending(proofs=[*proofs, ProofRow("c.e", "2026-01-05", 1, -2, "kWh", 1, "A", 9, 0)]))

        found = {(row.point, row.period) for row in database.last_proofs()}

    both = {(point, period) for point in ("a.e", "b.e") for period in ("2026-01", "2026-01-31")}
    assert found == both | {("c.e", "2026-01-05")}
