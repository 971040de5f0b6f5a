"""YAML from anywhere becomes values or mistakes with a place, and never anything else."""

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.config.marked import Marked
from bridge.config.yaml_events import MAX_ALIASED, MAX_DEPTH
from bridge.config.yaml_marks import MAX_BYTES, read, read_bytes, read_file
from bridge.core.errors import ConfigErrors


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("off", "off"),
        ("NO", "NO"),
        ("0100", "0100"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2026-11-20", "2026-11-20"),
        ("=", "="),
        ("0x2100", 8448),
        ("0o17", 15),
        ("-7", -7),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("true", True),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ('"caf\\u00e9"', "café"),
        ("! 12", 12),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    assert read(f"a: {text}\n", "f").data == {"a": value}


def test_every_value_has_its_line_and_column() -> None:
    marked = read("a: 1\nb:\n  - x\n  - {c: 2}\n", "f")

    assert marked.marks == {(): (1, 1), ("a",): (1, 1), ("b",): (2, 1), ("b", 0): (3, 5), ("b", 1): (4, 5)} | {
        ("b", 1, "c"): (4, 6)
    }
    assert marked.where(("b", 1, "nothing", 3)) == (4, 5)


def test_a_number_remembers_how_it_was_written_when_that_is_not_how_it_prints() -> None:
    assert read("a: 0x2100\nb: 8E1\nc: 5\nd: 0.5\n", "f").texts == {("a",): "0x2100", ("b",): "8E1"}


def test_an_alias_stands_for_its_value_with_the_place_of_the_original() -> None:
    marked = read("a: &x {k: [1, 2]}\nb: *x\n", "f")

    assert marked.data["b"] == {"k": [1, 2]}
    assert marked.where(("b",)) == (2, 1)
    assert marked.where(("b", "k", 1)) == (1, 15)


def test_a_mark_of_byte_order_is_no_part_of_the_text() -> None:
    assert read_bytes(b"\xef\xbb\xbfa: 1\n", "f").data == {"a": 1}


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 50_000, "? " * 50_000])
def test_deep_nesting_is_refused_before_it_costs_anything(text: str) -> None:
    # BARS I1
    began_s = time.process_time()

    with pytest.raises(ConfigErrors) as caught:
        read(text, "f")

    assert f"at most {MAX_DEPTH} levels" in str(caught.value) or "found" in str(caught.value)
    assert time.process_time() - began_s < 1


def test_a_file_of_more_than_five_megabytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_bytes(b"# " + b"x" * MAX_BYTES)

    with pytest.raises(ConfigErrors, match=r"big\.yaml:1:1: \(file\): expected at most 5000000 bytes, found more"):
        read_file(path)


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match="expected a file that can be read"):
        read_file(tmp_path)


@pytest.mark.slow
def test_the_largest_file_full_of_anchors_and_aliases_ends_soon() -> None:
    text = "a: &a [1]\n" + "".join(f"k{i}: &b{i} [{'x, ' * 40}]\n" for i in range(30_000))
    began_s = time.process_time()

    with pytest.raises(ConfigErrors, match="at most 1000 anchors"):
        read(text, "f")

    assert time.process_time() - began_s < 10


def test_aliases_may_stand_for_so_many_values_and_no_more() -> None:
    shared = f"a: &x [{', '.join('1' * 99)}]\n"

    assert len(read(shared + "b: [" + "*x, " * (MAX_ALIASED // 100) + "]\n", "f").data["b"]) == MAX_ALIASED // 100
    with pytest.raises(ConfigErrors, match="aliases"):
        read(shared + "b: [" + "*x, " * (MAX_ALIASED // 100 + 1) + "]\n", "f")


def plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(type(key) in (str, int) and plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(plain(item) for item in value)
    return value is None or type(value) in (str, int, float, bool)


def values_or_mistakes(raw: bytes) -> Marked | ConfigErrors:
    try:
        return read_bytes(raw, "f")
    except ConfigErrors as exc:
        return exc


WORDS = ["a", "b", ":", "-", "{", "}", "[", "]", "&x", "*x", "!!str", "!", "?", "|", ">", "'", '"', "#", "---", "..."]
WORDS += ["<<", "1", "0x1", "1e999", ".inf", "é", r"\x00", "~", "%YAML"]
TOKENS = [*WORDS, *(word + " " for word in WORDS), "\n", "\n  ", "\t", "\u2028"]
YAML_LIKE = st.lists(st.sampled_from(TOKENS), max_size=60).map("".join)


@given(st.binary(max_size=300) | YAML_LIKE.map(lambda text: text.encode()) | st.text(max_size=100).map(str.encode))
@example(b"")
@example(b"\xff\xfea\x00")
@example(b'"\\ud800"')
@example(b"%YAML 9.9\n---\na: 1\n")
@example(b"!<tag:yaml.org,2002:python/name:os.system> x")
@example(b"? ")
@example(b": : :")
@example(b"a: *a\n")
def test_any_bytes_become_plain_values_or_mistakes_with_a_place(raw: bytes) -> None:
    result = values_or_mistakes(raw)

    if isinstance(result, Marked):
        assert plain(result.data)
        assert () in result.marks
    else:
        assert result.errors
        assert all(error.line >= 1 and error.column >= 1 for error in result.errors)
