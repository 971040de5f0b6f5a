"""bridge.app.gateway_traffic: a file that another process wrote"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.app.gateway_traffic import traffic_rows
from bridge.core.traffic import TRAFFIC_FILE
from tests.support.billed_meters import billed_meters

ROW = {"client": "192.0.2.7", "door": 0, "channel": "line", "unit": 112, "line_unit": 2, "function": 3}
ROW |= {"address": 0, "count": 2, "requests": 1, "failed": 0, "last_utc_ns": 1}


def rows_of(folder: Path, text: str) -> list[dict[str, Any]]:
    (folder / "gateway").mkdir()
    (folder / "gateway" / TRAFFIC_FILE).write_text(text)
    return traffic_rows(SimpleNamespace(state_dir=folder, field=billed_meters()))  # type: ignore[arg-type] # a part of it


def test_the_busiest_question_is_first_and_names_the_device_whatever_number_the_client_says(tmp_path: Path) -> None:
    found = rows_of(tmp_path, json.dumps([ROW, ROW | {"line_unit": 9, "requests": 5}]))

    assert [(row["device"], row["unit"], row["requests"]) for row in found] == [("", 112, 5), ("plain", 112, 1)]


@pytest.mark.parametrize(
    "text", ["", "[", "{}", "[1]", '[{"client": 5}]', "[" + " " * 600_000 + "]"], ids=lambda text: text[:5] or "empty"
)
def test_a_file_that_is_none_shows_nothing(text: str, tmp_path: Path) -> None:
    assert rows_of(tmp_path, text) == []


def test_a_site_without_a_gateway_shows_nothing(tmp_path: Path) -> None:
    assert traffic_rows(SimpleNamespace(state_dir=tmp_path, field=[])) == []  # type: ignore[arg-type] # a part of it
