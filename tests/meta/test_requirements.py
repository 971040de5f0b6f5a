"""The list of requirements, its table in the documentation and the ids that tests name agree."""

import re
from pathlib import Path

from tests.meta import requirements

ROWS = {row.id: row for row in requirements.load()}
# | id | level | text | state | where |
_ROW = re.compile(r"^\| ([A-Z]-\d\d) \| (\w+) \| (.+?) \| (\w+) \|", re.MULTILINE)


def test_every_requirement_stands_once_with_a_known_level_and_state() -> None:
    listed = requirements.load()

    assert len(ROWS) == len(listed) == 214
    assert {row.level for row in listed} <= set(requirements.LEVELS)
    assert {row.state for row in listed} <= set(requirements.STATES)
    assert all(row.state == row.level.lower() for row in listed if not row.wanted)


def test_the_table_says_what_the_list_says() -> None:
    shown = {m[1]: (m[2], m[3]) for m in _ROW.finditer(requirements.DOCUMENT.read_text())}

    assert shown == {id_: (row.level, row.text) for id_, row in ROWS.items()}, "run `make requirements`"


def test_the_table_calls_nothing_proven_that_no_test_names() -> None:
    shown = {m[1]: m[4] for m in _ROW.finditer(requirements.DOCUMENT.read_text())}
    named = requirements.in_tests()

    assert [id_ for id_, state in shown.items() if state == "proven" and id_ not in named] == []
    assert [id_ for id_, state in shown.items() if state == "built" and ROWS[id_].state != "built"] == []


def test_every_id_a_test_names_is_in_the_list() -> None:
    unknown = {id_: files for id_, files in requirements.in_tests().items() if id_ not in ROWS}

    assert unknown == {}


def test_numbers_that_look_alike_are_no_ids(tmp_path: Path) -> None:
    file = tmp_path / "one.py"
    file.write_text("1E-05 UTF-16 AES-128 M-430 # M-43, F-08")

    assert requirements.named([file], tmp_path) == {"F-08": ["one.py"], "M-43": ["one.py"]}
