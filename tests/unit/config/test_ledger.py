"""The numbering ledger: what clients know keeps its number, whatever happens to the mapping."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config.ledger import Block, Ledger, Space, difference
from bridge.config.ledger_file import ledger_text, parse_ledger, read_ledger, write_ledger
from bridge.core.errors import ConfigErrors

SPACE = "bacnet.analog-input"
PROTOCOLS = ("bacnet",)


def run(spaces: Mapping[str, Space], keys: Sequence[str], first: int = 1, size: int = 1) -> dict[str, Space]:
    """One load of a configuration that has `keys`, and what is kept of it."""
    ledger = Ledger(spaces)
    for key in keys:
        ledger.take(SPACE, key, first, size)
    ledger.finish(PROTOCOLS)
    return dict(ledger.spaces())


def numbers(spaces: Mapping[str, Space]) -> dict[str, int]:
    return {key: block.first for key, block in spaces[SPACE].live.items()}


def test_new_keys_are_numbered_in_their_order() -> None:
    assert numbers(run({}, ["b", "a", "c"])) == {"b": 1, "a": 2, "c": 3}


def test_an_insertion_and_a_new_order_move_nothing() -> None:
    before = run({}, ["a", "b", "c"])

    assert numbers(run(before, ["new", "c", "b", "a"])) == {"a": 1, "b": 2, "c": 3, "new": 4}


def test_a_deleted_key_leaves_its_number_to_nobody_and_gets_it_back() -> None:
    before = run(run({}, ["a", "b"]), ["b"])

    after = run(before, ["b", "c"])

    assert numbers(after) == {"b": 2, "c": 3}
    assert numbers(run(after, ["c", "b", "a"])) == {"a": 1, "b": 2, "c": 3}


def test_blocks_are_whole_and_do_not_touch_other_numbers() -> None:
    ledger = Ledger()

    taken = [ledger.take("modbus.map", key, 100, size) for key, size in (("a", 4), ("b", 2), ("c", 4))]

    assert taken == [100, 104, 106]


def test_a_block_grows_in_place_or_leaves_its_numbers_unused() -> None:
    before = run({}, ["a", "b"], size=2)
    ledger = Ledger(before)

    grown = ledger.take(SPACE, "b", size=4)
    moved = ledger.take(SPACE, "a", size=4)
    new = ledger.take(SPACE, "c", size=2)
    ledger.finish(PROTOCOLS)

    assert (grown, moved, new) == (3, 7, 11)
    assert ledger.spaces()[SPACE].spent == {1: (Block(1, 2), "a")}
    assert [str(change) for change in difference(before, ledger.spaces())] == [
        f"{SPACE}: a moves from 1..2 to 7..10",
        f"{SPACE}: b grows from 3..4 to 3..6",
        f"{SPACE}: c gets 11..12",
    ]


def test_a_pin_is_kept_after_it_is_gone_from_the_mapping() -> None:
    ledger = Ledger()
    ledger.take(SPACE, "a", pin=500)
    ledger.finish(PROTOCOLS)

    assert numbers(run(ledger.spaces(), ["b", "a"])) == {"a": 500, "b": 1}


@pytest.mark.parametrize("gone", [[], ["a"]])
def test_a_pin_on_a_number_that_is_or_was_anothers_is_refused_by_name(gone: list[str]) -> None:
    spaces = run(run({}, ["a", "b"]), [key for key in ("a", "b") if key not in gone])
    ledger = Ledger(spaces)

    with pytest.raises(ValueError, match=r"for b, found 1, which belong(s|ed) to a"):
        ledger.take(SPACE, "b", pin=1)


def test_a_pin_moves_a_key_and_its_old_number_stays_its_own() -> None:
    ledger = Ledger(run({}, ["a", "b"]))
    ledger.take(SPACE, "a", pin=9)
    ledger.finish(PROTOCOLS)

    spaces = run(ledger.spaces(), ["a", "c"])

    assert numbers(spaces) == {"a": 9, "c": 3}
    back = Ledger(spaces)
    assert back.take(SPACE, "a", pin=1) == 1


def test_a_renamed_device_keeps_all_its_numbers() -> None:
    ledger = Ledger(run({}, ["old.power", "old.energy", "older.power", "old"]))

    ledger.rename({"old": "new"})

    assert [ledger.take(SPACE, key) for key in ("new.energy", "new.power", "older.power", "new")] == [2, 1, 3, 4]


def test_a_renamed_device_keeps_the_spaces_that_are_its_own() -> None:
    ledger = Ledger()
    for key in ("x", "power"):
        ledger.take("modbus.old.values", key)
    ledger.take("modbus.old", "power", first=7)
    ledger.finish(["modbus"])

    ledger = Ledger(ledger.spaces())
    ledger.rename({"old": "new"})

    assert ledger.take("modbus.new.values", "power") == 2
    assert ledger.take("modbus.old", "power") == 7


def test_a_protocol_that_is_off_loses_nothing() -> None:
    before = run({}, ["a"])
    ledger = Ledger(before)

    ledger.finish(["snmp"])

    assert ledger.spaces() == before


def test_the_revision_moves_when_the_list_moves_and_only_then() -> None:
    first = run({}, ["a", "b"])
    same = run(first, ["b", "a"])
    less = run(same, ["a"])
    restored = run(less, ["a", "b"])

    assert [s[SPACE].revision for s in (first, same, less, restored)] == [1, 1, 2, 3]
    ledger = Ledger(restored)
    ledger.take(SPACE, "a")
    assert ledger.revision(SPACE) == 4


def test_keys_that_are_no_plain_yaml_are_refused() -> None:
    for key in ("", "a b", "*a", "a\n", "x" * 200):
        with pytest.raises(ValueError, match="expected a key"):
            Ledger().take(SPACE, key)


def test_a_ledger_is_written_and_read_back_the_same(tmp_path: Path) -> None:
    path = tmp_path / "numbering.lock.yaml"
    spaces = run(run({}, ["a.x", "b.y", "c"], size=3), ["b.y"])

    assert write_ledger(path, spaces)

    assert read_ledger(path) == spaces
    assert not write_ledger(path, spaces)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_missing_ledger_is_an_empty_one(tmp_path: Path) -> None:
    assert read_ledger(tmp_path / "numbering.lock.yaml") == {}


def test_one_new_point_is_one_new_line() -> None:
    before = run({}, ["a", "c"])
    after = run(before, ["a", "b", "c"])

    old, new = ledger_text(before).splitlines(), ledger_text(after).splitlines()

    assert [line for line in new if line not in old] == ["entries: 3", "    revision: 2", "      b: 3"]


GOOD = ledger_text(run(run({}, ["a", "b", "c"]), ["a", "b"]))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("      b: 2\n", "", "12:1: (ledger): expected 3 entries as its head says, found 2"),
        ("    retired:\n      c: 3\n", "", "11:1: (ledger): expected 3 entries as its head says, found 2"),
        ("c: 3\n", "c: ", "12:1: (ledger): expected a line end at the end of the file, found none"),
        (
            "b: 2",
            "b: 1",
            "6:1: (ledger): expected one owner of each number in bacnet.analog-input, found 1 of a and of b",
        ),
        ("b: 2", "a: 2", "10:1: (ledger): expected each key once, found a a second time"),
        ("b: 2", "b: x", "10:1: (ledger): expected a number or first..last, found 'x'"),
        ("b: 2", "b: 9..2", "10:1: (ledger): expected a number or first..last"),
        ("b: 2", "b: 2,", "10:1: (ledger): expected a number or first..last"),
        ("      b: 2", "     b: 2", "10:1: (ledger): expected a line of a ledger"),
        ("version: 1", "version: 2", "3:1: (ledger): expected version 1, found 2"),
        ("    revision: 2\n", "", "7:1: (ledger): expected a line of a ledger"),
        ("      b", "<<<<<<< ours\n      b", "10:1: (ledger): expected a merged file, found a merge conflict"),
        (GOOD, "", "1:1: (ledger): expected `version`, `entries` and `spaces`"),
    ],
)
def test_a_damaged_ledger_is_refused_with_its_line_and_never_renumbered(old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        parse_ledger(GOOD.replace(old, new), "numbering.lock.yaml")

    assert str(caught.value).startswith(f"numbering.lock.yaml:{message}")


def test_a_ledger_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "numbering.lock.yaml"
    path.write_bytes(GOOD.encode().replace(b"b: 2", b"\xff: 2"))

    with pytest.raises(ConfigErrors, match=r":10:1: .*expected UTF-8, found the byte 0xff"):
        read_ledger(path)


KEYS = st.lists(st.sampled_from([f"d{i}.p{j}" for i in range(4) for j in range(4)]), unique=True)


@given(st.lists(KEYS, max_size=8), st.lists(st.integers(1, 5), min_size=8, max_size=8))
def test_no_sequence_of_edits_ever_moves_or_reuses_a_number(edits: list[list[str]], sizes: list[int]) -> None:
    spaces: dict[str, Space] = {}
    owner: dict[int, str] = {}
    known: dict[str, int] = {}

    for keys in edits:
        ledger = Ledger(spaces)
        for key in keys:
            size = sizes[hash_of(key) % len(sizes)]
            number = ledger.take(SPACE, key, size=size)

            assert known.setdefault(key, number) == number
            assert all(owner.setdefault(n, key) == key for n in range(number, number + size))
        ledger.finish(PROTOCOLS)
        spaces = parse_ledger(ledger_text(ledger.spaces()), "ledger")


def hash_of(key: str) -> int:
    return sum(key.encode())


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.integers(1, 4), st.none() | st.integers(0, 12), st.booleans()),
        max_size=30,
    )
)
def test_a_number_has_one_owner_for_ever_with_pins_and_growth_as_well(
    steps: list[tuple[str, int, int | None, bool]],
) -> None:
    spaces: dict[str, Space] = {}
    owner: dict[int, str] = {}
    ledger = Ledger(spaces)

    for key, size, pin, reload in steps:
        try:
            number = ledger.take(SPACE, key, size=size, pin=pin)
        except ValueError:
            continue
        assert all(owner.setdefault(n, key) == key for n in range(number, number + size))
        if reload:
            ledger.finish(PROTOCOLS)
            ledger = Ledger(parse_ledger(ledger_text(ledger.spaces()), "ledger"))


@given(st.data())
def test_a_ledger_with_one_byte_changed_is_refused_or_still_sound(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GOOD) - 1))
    damaged = GOOD[:at] + data.draw(st.characters(max_codepoint=300)) + GOOD[at + 1 :]

    try:
        spaces = parse_ledger(damaged, "ledger")
    except ConfigErrors:
        return

    assert parse_ledger(ledger_text(spaces), "ledger") == spaces
