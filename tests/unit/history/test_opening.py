"""history.opening: whatever is done to the file, what can be believed is there afterwards (BARS R7)."""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.history.database import Database
from bridge.history.head import FILE as HEAD
from bridge.history.opening import FILE, GOOD_COPY, open_history
from bridge.history.rows import Pending


def filled(folder: Path, first: int = 0, last: int = 200) -> None:
    with Database(folder / FILE) as database:
        made = Pending()
        made.kept = {("index", f"m{n}.energy"): f"{n}".encode() * 20 for n in range(first, last)}
        made.events = [(n, b"event") for n in range(first + 1, last + 1)]
        database.commit(made)


def with_copy(folder: Path) -> None:
    """Two hundred indexes, of which the first hundred and fifty are in the good copy."""
    filled(folder, 0, 150)
    with Database(folder / FILE) as database:
        database.save_copy(folder / GOOD_COPY)
    filled(folder, 150, 200)


def flip(path: Path, at: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def test_a_good_file_is_opened_as_it_is(tmp_path: Path) -> None:
    filled(tmp_path)

    opened = open_history(tmp_path, 5000, "now")

    with opened.database as database:
        assert (opened.damage, opened.aside, len(database.kept("index"))) == ("", None, 200)


def test_a_first_start_makes_an_empty_file(tmp_path: Path) -> None:
    opened = open_history(tmp_path / "new", 5000, "now")

    with opened.database as database:
        assert (opened.damage, database.events()) == ("", [])


def test_one_flipped_bit_of_one_value_is_found_set_aside_and_replaced_by_the_good_copy(tmp_path: Path) -> None:
    with_copy(tmp_path)
    data = (tmp_path / FILE).read_bytes()
    flip(tmp_path / FILE, data.index(b"77" * 20), 1)

    opened = open_history(tmp_path, 5000, "now")

    with opened.database as database:
        kept = database.kept("index")
        assert opened.damage.startswith("checksum of a row of kept")
        assert (len(kept), kept["m77.energy"]) == (200, b"77" * 20)
        assert database.check() == ""
    assert opened.aside == tmp_path / "history.damaged-now.sqlite"
    assert flip_is_there(opened.aside)


def flip_is_there(aside: Path) -> bool:
    raw = sqlite3.connect(f"file:{aside}?mode=ro", uri=True)
    body = raw.execute("SELECT body FROM kept WHERE id = 'm77.energy'").fetchone()[0]
    raw.close()
    return bool(body != b"77" * 20)


def test_without_a_good_copy_only_the_damaged_row_is_lost(tmp_path: Path) -> None:
    filled(tmp_path)
    flip(tmp_path / FILE, (tmp_path / FILE).read_bytes().index(b"77" * 20), 1)

    opened = open_history(tmp_path, 5000, "now")

    with opened.database as database:
        assert (len(database.kept("index")), len(database.events())) == (199, 200)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def _other(path: Path) -> None:
    path.write_bytes(b"no database at all" * 1000)


def _header(path: Path) -> None:
    flip(path, 20)


def _missing(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("harm", [_cut, _other, _header, _missing])
def test_a_file_that_is_none_any_more_is_replaced_by_the_good_copy(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    with_copy(tmp_path)
    harm(tmp_path / FILE)

    opened = open_history(tmp_path, 5000, "now")

    with opened.database as database:
        assert opened.damage
        assert len(database.kept("index")) >= 150
        assert database.check() == ""


def test_a_damaged_good_copy_is_not_believed_either(tmp_path: Path) -> None:
    with_copy(tmp_path)
    _other(tmp_path / FILE)
    _other(tmp_path / GOOD_COPY)

    opened = open_history(tmp_path, 5000, "now")

    with opened.database as database:
        assert (bool(opened.damage), database.kept("index")) == (True, {})


@pytest.mark.parametrize("seed", range(25))
def test_any_flipped_bits_leave_only_values_that_were_written(tmp_path: Path, seed: int) -> None:
    with_copy(tmp_path)
    chance = random.Random(seed)
    size = (tmp_path / FILE).stat().st_size
    for _ in range(chance.choice([1, 3, 40])):
        flip(tmp_path / FILE, chance.randrange(size), chance.randrange(8))

    opened = open_history(tmp_path, 5000, "now")

    with opened.database as database:
        kept = database.kept("index")
        assert len(kept) >= 150
        assert all(body == f"{int(id_[1:-7])}".encode() * 20 for id_, body in kept.items())


def test_at_most_five_damaged_files_are_kept(tmp_path: Path) -> None:
    for n in range(8):
        filled(tmp_path)
        _other(tmp_path / FILE)
        open_history(tmp_path, 5000, f"{n}").database.close()

    assert [path.name for path in sorted(tmp_path.glob("*damaged*"))] == [
        f"history.damaged-{n}.sqlite" for n in range(3, 8)
    ]


def killed(folder: Path, commits: int) -> None:
    """Thirty commits of a process that was killed: they are in the log, not yet in the file."""
    made = folder / "killed"
    made.mkdir(parents=True)
    database = Database(made / FILE)
    for n in range(commits):
        pending = Pending()
        pending.kept = {("index", f"m{m}.energy"): f"{m}".encode() * 20 for m in range(5)}
        pending.events = [(n + 1, b"event")]
        database.commit(pending)
    for name in (FILE, f"{FILE}-wal", HEAD):
        shutil.copyfile(made / name, folder / name)
    database.close()


@pytest.mark.parametrize("seed", range(20))
def test_a_flipped_bit_in_the_log_of_commits_is_found_though_sqlite_says_nothing(tmp_path: Path, seed: int) -> None:
    # BARS R7
    chance = random.Random(seed)
    killed(tmp_path, 30)
    log = tmp_path / f"{FILE}-wal"
    flip(log, chance.randrange(log.stat().st_size), chance.randrange(8))

    opened = open_history(tmp_path, 5000, "now")

    with opened.database as database:
        assert opened.damage.startswith(("commits", "expected the tables"))
        assert opened.aside is not None
        assert len(database.events()) < 30
        # numbers that were told are not given again
        assert database.head.event == 30


def test_a_log_of_commits_that_is_whole_is_taken_up_without_a_word(tmp_path: Path) -> None:
    killed(tmp_path, 30)

    opened = open_history(tmp_path, 5000, "now")

    with opened.database as database:
        assert (opened.damage, len(database.events())) == ("", 30)


def test_an_older_copy_put_in_place_of_the_file_is_found(tmp_path: Path) -> None:
    with_copy(tmp_path)
    shutil.copyfile(tmp_path / GOOD_COPY, tmp_path / FILE)

    opened = open_history(tmp_path, 5000, "now")

    with opened.database:
        assert opened.damage == "commits 2 to 2 are lost"


def test_a_file_that_vanished_without_a_copy_is_not_taken_for_a_first_start(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / FILE).unlink()

    opened = open_history(tmp_path, 5000, "now")

    with opened.database as database:
        assert (opened.damage, database.events()) == ("the file is missing", [])


@pytest.mark.parametrize("head", [b"", b"no head", b"9" * 51, os.urandom(51)], ids=["empty", "text", "digits", "noise"])
def test_a_damaged_note_of_how_far_it_had_come_accuses_nobody(tmp_path: Path, head: bytes) -> None:
    filled(tmp_path)
    (tmp_path / HEAD).write_bytes(head)

    opened = open_history(tmp_path, 5000, "now")

    with opened.database as database:
        assert (opened.damage, len(database.events())) == ("", 200)


@pytest.mark.parametrize("place", [b"CREATE TABLE kept", b"TABLE sample", b"TEXT NOT NULL"])
def test_a_flipped_bit_in_the_description_of_the_tables_is_found(tmp_path: Path, place: bytes) -> None:
    # BARS R7: the highest bit makes a message of SQLite itself unreadable
    for bit in (0, 7):
        folder = tmp_path / f"{bit}"
        folder.mkdir()
        with_copy(folder)
        flip(folder / FILE, (folder / FILE).read_bytes().index(place) + 9, bit)

        opened = open_history(folder, 5000, "now")

        with opened.database as database:
            assert opened.damage
            assert len(database.kept("index")) >= 150


@pytest.mark.parametrize("bit", range(8))
def test_a_header_that_says_the_file_is_read_only_is_damage_and_not_the_end_of_keeping(
    tmp_path: Path, bit: int
) -> None:
    # BARS R7
    with_copy(tmp_path)
    flip(tmp_path / FILE, 18, bit)

    opened = open_history(tmp_path, 5000, "now")

    with opened.database as database:
        assert opened.damage == "expected a file format that can be written, found another"
        made = Pending()
        made.events = [(201, b"event")]
        database.commit(made)
        assert len(database.kept("index")) == 200
