"""The JSON API, health and metrics, asked by httpx over TLS."""

import asyncio
import io
import json
import time
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bridge.core.accumulator import decimal_text
from bridge.core.point import Kind, Sample
from bridge.core.quality import Quality
from tests.support.web_site import Console, console, device, server

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(60)]


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Console]:
    async with console(str(tmp_path)) as running:
        yield running


async def test_every_point_is_answered_as_the_store_has_it(web: Console) -> None:
    found: dict[str, Any] = {}
    offset: int | None = 0
    while offset is not None:
        page = (await web.https.get("/api/v1/points", params={"offset": offset, "limit": 70})).json()
        found |= {point["id"]: point for point in page["points"]}
        offset = page["next"]

    assert set(found) == {definition.id for definition in web.facts.points}
    for definition in web.facts.points:
        sample, point = web.store.get(definition.index), found[definition.id]
        wanted = sample.value
        if definition.kind is Kind.ACCUMULATOR:
            assert isinstance(wanted, int)
            wanted = decimal_text(wanted, definition.resolution)
        assert point["value"] == wanted
        assert (point["quality"], point["source_ns"]) == (["good"], sample.source_ns)


async def test_a_bad_value_is_held_with_its_old_time_and_its_quality(web: Console) -> None:
    definition = next(d for d in web.facts.points if d.kind is Kind.ANALOG)
    before = web.store.get(definition.index)
    lost = Sample(before.value, Quality.STALE | Quality.COMM_LOST, before.source_ns, 2)
    web.store.publish([(definition.index, lost)])
    await asyncio.sleep(0.2)

    point = (await web.https.get(f"/api/v1/points/{definition.id}")).json()["point"]

    assert point["quality"] == ["stale", "comm_lost"]
    assert (point["value"], point["source_ns"], point["usable"]) == (before.value, before.source_ns, False)


async def test_the_document_describes_what_is_answered(web: Console) -> None:
    document = (await web.https.get("/api/openapi.json")).json()
    paths = [path for path in document["paths"] if "{" not in path]

    assert document["openapi"] == "3.1.0"
    for path in paths:
        assert (await web.https.get(path)).status_code == 200, path


@pytest.mark.parametrize("query", ["limit=x", "limit=-1", "limit=5000", "offset=99999999999"])
async def test_a_wrong_parameter_is_refused_in_words(web: Console, query: str) -> None:
    answer = await web.https.get(f"/api/v1/points?{query}")

    assert answer.status_code == 400
    assert "expected a number from 0 to" in answer.json()["error"]


# BARS S10
async def test_health_is_that_of_every_server_by_its_own_question_and_of_the_polling(web: Console) -> None:
    assert (await web.https.get("/healthz")).json()["ok"]

    web.core.status["servers"] = [server("web"), server("snmp", answering=False, probe_age_s=42.0)]
    web.core.status["polling"] = False
    await asyncio.sleep(1)
    ill = await web.https.get("/healthz")

    assert ill.status_code == 503
    assert ill.json()["problems"] == [
        "no meter has been asked for a long time",
        "snmp is ready; it last answered 42 s ago",
    ]


async def test_a_meter_that_is_away_degrades_and_a_site_of_such_is_not_ready(web: Console) -> None:
    away = {"state": "backing off", "last_error": "no reply"}
    web.core.status["devices"] = [device(found.id, **away) for found in web.facts.devices]

    health, ready = await web.https.get("/healthz"), await web.https.get("/readyz")

    assert (health.status_code, ready.status_code) == (200, 503)
    assert len(health.json()["degraded"]) == len(web.facts.devices)
    assert "no meter answers" in ready.json()["problems"]


async def test_without_answers_of_the_core_it_says_so_and_is_ill(web: Console) -> None:
    web.core.answers["status"] = None

    assert (await web.https.get("/healthz")).status_code == 503
    assert (await web.https.get("/api/v1/servers")).status_code == 503
    assert (await web.https.get("/")).status_code == 503


async def test_metrics_are_read_by_prometheus_and_no_point_is_a_label(web: Console) -> None:
    client = {"address": "10.0.0.9", "port": 1, "connections": 1, "messages": 7, "known_s": 9.0, "quiet_s": 0.5}
    web.core.answers["clients"] = {"modbus": {"clients": [client], "delay_ms": 4.0, "delay_most_ms": 250.0}}
    text = (await web.https.get("/metrics")).text
    families = {family.name: family for family in text_string_to_metric_families(text)}

    answering = {sample.labels["server"]: sample.value for sample in families["meterbridge_server_answering"].samples}
    assert answering == {"web": 1, "modbus": 1}
    assert [sample.value for sample in families["meterbridge_server_clients"].samples] == [1]
    assert [sample.value for sample in families["meterbridge_server_delay_seconds"].samples] == [0.25]
    # neither is who asks: strangers would choose the labels
    assert "10.0.0.9" not in text
    points = sum(sample.value for sample in families["meterbridge_points"].samples)
    assert 0 < points <= len(web.facts.points)
    assert not any("point" in sample.labels for family in families.values() for sample in family.samples)


async def test_a_change_is_on_the_live_page_within_a_second_and_its_quality_with_it(web: Console) -> None:
    definition = next(d for d in web.facts.points if d.kind is Kind.ANALOG)
    async with web.https.stream("GET", "/live", params={"point": definition.id}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.aiter_lines()
        first = await _rows(lines)
        web.store.publish([(definition.index, Sample(777.0, Quality.STALE, 5 * 10**9, 9))])
        began = time.monotonic()
        second = await _rows(lines)

    assert first[0][0] == definition.id
    assert second == [[definition.id, "777.00", "bad", "stale", 5000]]
    assert time.monotonic() - began < 1.5


async def test_live_pages_are_bounded_and_a_page_that_is_left_gives_its_seat_back(tmp_path: Path) -> None:
    async with console(str(tmp_path), max_live=1) as web:
        path = f"/live?point={web.facts.points[0].id}"
        async with web.https.stream("GET", path) as page:
            lines = page.aiter_lines()
            await anext(lines)
            async with web.https.stream("GET", path) as refused:
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")

        async with asyncio.timeout(10):
            while await _status(web, path) == 503:  # noqa: ASYNC110 - the other process has no event for us
                await asyncio.sleep(0.1)


@pytest.mark.slow
async def test_the_guard_ends_half_a_request_and_keeps_a_page_that_only_listens(tmp_path: Path) -> None:
    async with console(str(tmp_path), certificate="none", listener={"first_message_s": 0.5, "idle_s": 5}) as web:
        port = httpx.URL(web.url).port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Half")
        assert await asyncio.wait_for(reader.read(), 3) == b""
        writer.close()

        async with web.https.stream("GET", f"/live?point={web.facts.points[0].id}") as page:
            lines = page.aiter_lines()
            until = time.monotonic() + 8
            async with asyncio.timeout(14):
                while time.monotonic() < until:
                    await anext(lines)


#
async def test_events_are_files_as_well_and_no_cell_of_them_is_a_formula(web: Console) -> None:
    web.core.answers["events"]["events"][0]["text"] = "=cmd|' /C calc'!A0"

    table, text = await web.https.get("/events.csv"), await web.https.get("/events.txt")

    assert table.text.splitlines()[1] == "7,2023-11-14 22:13:20 UTC,32,system,,'=cmd|' /C calc'!A0,"
    assert text.text == "7  2023-11-14 22:13:20 UTC  32  system  =cmd|' /C calc'!A0\n"
    assert (await web.https.get("/events.exe")).status_code == 404


async def test_an_export_is_an_archive_of_what_the_core_made(web: Console) -> None:
    answer = await web.https.get("/export/map")

    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.read("map.csv") == b"a"
    assert (await web.https.get("/export/other")).status_code == 404


async def _status(web: Console, path: str) -> int:
    async with web.https.stream("GET", path) as answer:
        return answer.status_code


async def _rows(lines: Any) -> list[Any]:
    async with asyncio.timeout(5):
        async for line in lines:
            if line.startswith("data: "):
                found: list[Any] = json.loads(line[6:])
                return found
    raise AssertionError("the stream ended")
