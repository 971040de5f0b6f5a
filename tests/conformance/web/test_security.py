"""Who may look, sessions and forms, and what a hostile request gets."""

import asyncio
import html
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from bridge.config.alarm_keys import AlarmKey, AlarmsKey
from bridge.core.errors import ProjectionError
from bridge.core.point import Kind, Sample
from bridge.core.quality import Quality
from bridge.core.rights import Right
from bridge.services.alarm_rules import rules_of
from tests.support.modbus_site import site
from tests.support.web_site import PASSWORD, Console, console, projected, trusting_anybody

pytestmark = [pytest.mark.real_time, pytest.mark.timeout(60)]
PAGES = ("/", "/points", "/faces", "/alarms", "/events", "/configuration", "/login", "/nothing")


@pytest.fixture
async def web(tmp_path: Path) -> AsyncIterator[Console]:
    async with console(str(tmp_path)) as running:
        yield running


@pytest.fixture
async def closed(tmp_path: Path) -> AsyncIterator[Console]:
    """Nobody looks without a login."""
    async with console(str(tmp_path), open_networks=[], health_networks=["127.0.0.0/8"]) as running:
        yield running


# BARS S7
@pytest.mark.parametrize("path", PAGES)
async def test_every_page_forbids_scripts_frames_and_foreign_sources(web: Console, path: str) -> None:
    answer = await web.https.get(path)

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?! src=\"/static/)|\son\w+=|\sstyle=|javascript:", answer.text)
    assert not re.search(r"(src|href)=\"(https?:)?//", answer.text)


async def test_what_comes_from_files_and_meters_is_no_markup(web: Console) -> None:
    text = (await web.https.get("/configuration")).text

    assert "<b>bold</b>" not in text
    assert "<b>bold</b>" in html.unescape(text)


# BARS S7
@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/..%2f..%2fserver.py",
        "/static/%2e%2e/mapping.py",
        "/static//etc/passwd",
        "/static/%00",
        "/export/../../etc/passwd",
        "/export/..%2f..%2fetc",
        "/meters/..%2f..",
        "/points/%ff%fe",
    ],
)
async def test_no_path_leads_out_of_what_is_served(web: Console, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(web.url).port, ssl=trusting_anybody())
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()

    assert re.match(rb"HTTP/1.1 (404|400) ", answer), answer[:80]
    assert b"root:" not in answer
    assert b"import " not in answer


async def test_a_name_that_is_not_ours_is_not_answered(web: Console) -> None:
    rebound = await web.https.get("/", headers={"Host": "evil.example"})
    ours = await web.https.get("/", headers={"Host": "localhost:1"})

    assert (rebound.status_code, ours.status_code) == (421, 200)


async def test_a_long_body_is_refused(web: Console) -> None:
    answer = await web.https.post("/login", content=b"x" * 20_000)

    assert answer.status_code == 413


async def test_tls_is_1_2_or_newer(web: Console) -> None:
    old = trusting_anybody()
    old.minimum_version, old.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.TLSv1_2
    old.set_ciphers("AES128-SHA:@SECLEVEL=0")

    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", httpx.URL(web.url).port, ssl=old)


# BARS S3
async def test_without_a_login_a_closed_console_shows_health_and_nothing_else(closed: Console) -> None:
    page, api = await closed.https.get("/"), await closed.https.get("/api/v1/points")

    assert (page.status_code, page.headers["location"]) == (303, "/login")
    assert api.status_code == 401
    assert (await closed.https.get("/live?device=x")).status_code == 303
    assert (await closed.https.get("/healthz")).status_code == 200


async def test_a_user_logs_in_looks_and_logs_out(closed: Console) -> None:
    answer = await _log_in(closed, "anna", PASSWORD)

    assert answer.status_code == 303
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("__Host-meterbridge="))
    for word in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"):
        assert word.lower() in cookie.lower()
    assert "anna" in (await closed.https.get("/")).text
    assert closed.users.tries == [("web", "127.0.0.1", "anna")]

    token = _token((await closed.https.get("/")).text)
    await closed.https.post("/logout", data={"token": token})
    assert (await closed.https.get("/")).status_code == 303


async def test_a_stolen_cookie_ends_with_the_session(closed: Console) -> None:
    await _log_in(closed, "anna", PASSWORD)
    stolen = dict(closed.https.cookies)
    await closed.https.post("/logout", data={"token": _token((await closed.https.get("/")).text)})

    async with closed.client() as thief:
        thief.cookies.update(stolen)
        assert (await thief.get("/")).status_code == 303


# BARS S7
async def test_a_form_without_its_token_or_from_another_page_does_nothing(closed: Console) -> None:
    await closed.https.get("/login")
    without = await closed.https.post("/login", data={"user": "anna", "password": PASSWORD})
    token = _token((await closed.https.get("/login")).text)
    form = {"user": "anna", "password": PASSWORD, "token": token}
    foreign = await closed.https.post("/login", data=form, headers={"Origin": "https://evil.example"})
    async with closed.client() as other:
        borrowed = await other.post("/login", data=form)

    assert [answer.status_code for answer in (without, foreign, borrowed)] == [403, 403, 403]
    assert not closed.users.tries


# BARS S3
async def test_wrong_and_locked_are_told_and_nobody_is_let_in(closed: Console) -> None:
    wrong = await _log_in(closed, "anna", "guessed")
    closed.users.locked = True
    locked = await _log_in(closed, "anna", PASSWORD)

    assert (wrong.status_code, locked.status_code) == (401, 401)
    assert "Wrong name or password" in wrong.text
    assert "Too many wrong tries" in locked.text
    assert (await closed.https.get("/")).status_code == 303


async def test_an_acknowledgement_needs_a_session(web: Console) -> None:
    token = _token((await web.https.get("/login")).text)
    answer = await web.https.post("/alarms/1/acknowledge", data={"token": token})

    assert answer.status_code == 403


# BARS S1
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
async def test_no_method_writes_anything_through_the_api_or_a_page(web: Console, method: str) -> None:
    point = web.facts.points[0]
    before = web.store.get(point.index)
    paths = [f"/api/v1/points/{point.id}", "/api/v1/points", "/api/v1/alarms", f"/points/{point.id}", "/configuration"]

    statuses = {(await web.https.request(method, path, content=b"1")).status_code for path in paths}

    assert statuses == {405}
    assert web.store.get(point.index) == before


# BARS S3
async def test_what_a_user_may_do_is_judged_by_the_core_and_its_answer_is_shown(web: Console) -> None:
    web.users.rights = (Right.READ, Right.PEAK_RESET)
    await _log_in(web, "anna", PASSWORD)
    token = _token((await web.https.get("/login")).text)

    answer = await web.https.post("/alarms/1/acknowledge", data={"token": token})

    assert answer.status_code == 403
    assert "out of range" in answer.text


async def test_an_alarm_is_acknowledged_with_the_name_of_who_is_logged_in(web: Console) -> None:
    #
    point = next(d for d in web.facts.points if d.kind is Kind.ANALOG)
    key = AlarmsKey(preset=False, rules={"too_high": AlarmKey(match=(point.id,), over=250, priority="high")})
    web.alarms.redefine(rules_of(key, web.facts.devices, web.facts.points).rules)
    web.store.publish([(point.index, Sample(300.0, Quality.GOOD, 1_700_000_000_000_000_000, 1))])
    (alarm,) = web.alarms.alarms()
    web.users.rights = (Right.READ, Right.PEAK_RESET)
    await _log_in(web, "anna", PASSWORD)
    token = _token((await web.https.get("/login")).text)

    answer = await web.https.post(f"/alarms/{alarm.id}/acknowledge", data={"token": token})

    (seen,) = web.alarms.alarms()
    assert (answer.status_code, answer.headers["location"]) == (303, "/alarms")
    assert (seen.acknowledged, seen.acknowledged_by) == (True, "anna")


# BARS S3
async def test_who_may_only_look_acknowledges_nothing(web: Console) -> None:
    await _log_in(web, "anna", PASSWORD)
    token = _token((await web.https.get("/login")).text)

    answer = await web.https.post("/alarms/1/acknowledge", data={"token": token})

    assert answer.status_code == 403
    assert "refused by policy" in answer.text


async def test_a_command_needs_a_session_the_form_and_a_tick_and_then_is_the_policys(web: Console) -> None:
    point = next(d for d in web.facts.points if d.writable and not d.mid and d.kind is Kind.ANALOG)
    path, form = f"/points/{point.id}/command", {"value": "12,5", "sure": "1"}
    nobody = await web.https.post(path, data=form | {"token": _token((await web.https.get("/login")).text)})
    await _log_in(web, "anna", PASSWORD)
    token = _token((await web.https.get("/login")).text)
    unsure = await web.https.post(path, data={"value": "12,5", "token": token})
    wrong = await web.https.post(path, data=form | {"value": "nan", "token": token})
    before = web.store.get(point.index).value
    done = await web.https.post(path, data=form | {"token": token})

    assert [answer.status_code for answer in (nobody, unsure, wrong)] == [403, 403, 403]
    assert before != 12.5
    assert (done.status_code, done.headers["location"]) == (303, f"/points/{point.id}")
    assert web.store.get(point.index).value == 12.5


async def test_no_form_is_shown_for_what_bills(web: Console) -> None:
    await _log_in(web, "anna", PASSWORD)
    mid = next(d for d in web.facts.points if d.mid)

    assert "/command" not in (await web.https.get(f"/points/{mid.id}")).text


def test_plain_http_is_for_loopback_only() -> None:
    with pytest.raises(ProjectionError, match="not loopback"):
        projected(site(1), 80, certificate="none", listener={"bind": "0.0.0.0"})


async def test_plain_http_on_loopback_works(tmp_path: Path) -> None:
    async with console(str(tmp_path), certificate="none") as web:
        assert web.url.startswith("http://")
        assert (await web.https.get("/")).status_code == 200


async def _log_in(web: Console, user: str, password: str) -> httpx.Response:
    token = _token((await web.https.get("/login")).text)
    return await web.https.post("/login", data={"user": user, "password": password, "token": token})


def _token(page: str) -> str:
    found = re.search(r'name="token" value="([0-9a-f]{64})"', page)
    assert found
    return found[1]
