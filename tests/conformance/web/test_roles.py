"""Who may do what from the console, asked of a whole bridge: the core decides, whatever the page offers."""

import hashlib
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from tests.support.bridge_site import RunningBridge, cli, running_bridge, site_files
from tests.support.certificates import Authority
from tests.support.demo import wait_until
from tests.support.web_site import PASSWORD, trusting_anybody

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(120)]
PORT, REDIRECT_PORT, SIMULATOR_PORT = 24_900, 24_901, 24_902
ROLES = ("viewer", "operator", "technician", "administrator")
ACCESS = {"rules": [{"match": "landlord.demand_interval", "roles": ["technician", "administrator"]}]}
MAPPING = {
    "listener": {"port": PORT, "bind": "127.0.0.1", "max_clients": 64},
    "administration": "on",
    "redirect": {"port": REDIRECT_PORT, "bind": "127.0.0.1"},
}


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBridge]:
    site = site_files(tmp_path_factory.mktemp("roles") / "site", ACCESS, {"web": MAPPING})
    for role in ROLES:
        done = cli("user", "add", str(site), role, "--role", role, stdin=f"{PASSWORD}\n")
        assert done.returncode == 0, done.stderr
    with running_bridge(site, SIMULATOR_PORT) as running:
        yield running


# BARS S3
@pytest.mark.parametrize(
    ("path", "form", "allowed"),
    [
        ("/configuration/reload", {}, {"technician", "administrator"}),
        ("/access/users", {"action": "add", "name": "new", "role": "viewer", "password": PASSWORD}, {"administrator"}),
        ("/access/users", {"action": "lock", "name": "new"}, {"administrator"}),
        ("/access/users", {"action": "unlock", "name": "new"}, {"administrator"}),
        ("/access/users", {"action": "password", "name": "new", "password": PASSWORD[::-1]}, {"administrator"}),
        ("/access/users", {"action": "remove", "name": "new"}, {"administrator"}),
        ("/access/certificate/remove", {}, {"administrator"}),
        ("/points/landlord.demand_interval/command", {"value": "30", "sure": "1"}, {"technician", "administrator"}),
        ("/points/landlord.active_energy_import/command", {"value": "0", "sure": "1"}, set()),
    ],
    ids=["reload", "add", "lock", "unlock", "password", "remove", "certificate", "setting", "billed index"],
)
def test_a_role_may_do_what_is_its_right_and_every_refusal_is_recorded(
    bridge: RunningBridge, path: str, form: dict[str, str], allowed: set[str]
) -> None:
    done = set()
    for role in ROLES:
        with _logged_in(role) as browser:
            answer = browser.post(path, data=form | {"token": _token(browser)})
        assert answer.status_code in (200, 303, 403), answer.text
        if answer.status_code != 403:
            done.add(role)

    assert done == allowed
    recorded = {record["user"] for record in bridge.audit() if record["result"] in _REFUSED}
    assert recorded >= set(ROLES) - allowed


# BARS S3: at once, for a session that is open
def test_a_user_who_is_locked_has_no_power_left(bridge: RunningBridge) -> None:
    with _logged_in("administrator") as chief, _logged_in("technician") as technician:
        before = technician.post("/configuration/reload", data={"token": _token(technician)})
        locked = chief.post("/access/users", data={"action": "lock", "name": "technician", "token": _token(chief)})
        after = technician.post("/configuration/reload", data={"token": _token(technician)})
        again = chief.post("/access/users", data={"action": "unlock", "name": "technician", "token": _token(chief)})

    assert [answer.status_code for answer in (before, locked, after, again)] == [200, 303, 403, 303]


#
def test_nobody_closes_the_door_behind_himself(bridge: RunningBridge) -> None:
    with _logged_in("administrator") as chief:
        answer = chief.post("/access/users", data={"action": "remove", "name": "administrator", "token": _token(chief)})

    assert answer.status_code == 403
    assert "another user than yourself" in answer.text


#
@pytest.mark.parametrize("password", ["short", "administrator", "aaaaaaaaaaaa"])
def test_a_weak_password_is_refused_and_never_repeated(bridge: RunningBridge, password: str) -> None:
    form = {"action": "password", "name": "administrator", "password": password}
    with _logged_in("administrator") as chief:
        answer = chief.post("/access/users", data=form | {"token": _token(chief)})

    assert answer.status_code == 403
    assert "expected a password" in answer.text
    assert password == "administrator" or password not in answer.text
    assert PASSWORD not in bridge.log.read_text()
    assert PASSWORD not in str(bridge.audit())


#
def test_a_certificate_is_put_in_shown_by_its_fingerprint_and_taken_out_again(
    bridge: RunningBridge, tmp_path: Path
) -> None:
    own, issued = _fingerprint(), Authority(tmp_path).issue("console")
    pem, key = (path.read_text() for path in issued)
    with _logged_in("administrator") as chief:
        other = Authority(tmp_path, "other ca").issue("stranger")[1].read_text()
        wrong = chief.post("/access/certificate", data={"certificate": pem, "key": other, "token": _token(chief)})
        assert _fingerprint() == own
        shown = own in chief.get("/access").text
        done = chief.post("/access/certificate", data={"certificate": pem, "key": key, "token": _token(chief)})
        wait_until(lambda: _fingerprint() not in ("", own), 20)
        with _browser() as again:
            again.cookies.update(dict(chief.cookies))
            ended = again.get("/").text
    given = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest().hex(":")
    with _logged_in("administrator") as chief:
        page = chief.get("/access").text
        removed = chief.post("/access/certificate/remove", data={"token": _token(chief)})
        wait_until(lambda: _fingerprint() == own, 20)

    assert (wrong.status_code, shown, done.status_code, removed.status_code) == (403, True, 303, 303)
    assert "expected the key of" in wrong.text
    assert given in page
    # sessions start anew with the certificate
    assert "Log out" not in ended
    assert "BEGIN" not in bridge.log.read_text()
    assert "BEGIN" not in str(bridge.audit())


# W-01
def test_plain_http_leads_to_the_same_page_over_tls(bridge: RunningBridge) -> None:
    with httpx.Client(timeout=5, trust_env=False, verify=trusting_anybody(), follow_redirects=True) as browser:
        answer = browser.get(f"http://127.0.0.1:{REDIRECT_PORT}/points?search=power")

    assert (answer.status_code, str(answer.url)) == (200, f"https://127.0.0.1:{PORT}/points?search=power")


# W-03: the last of this module, for it changes the mapping
def test_without_administration_the_page_offers_nothing_and_the_core_obeys_nothing(bridge: RunningBridge) -> None:
    mapping = bridge.site.parent / "web.yaml"
    mapping.write_text(yaml.safe_dump({**MAPPING, "administration": "off"}))
    assert bridge.cli("reload", str(bridge.site)).returncode == 0
    wait_until(_is_up, 15)
    with _logged_in("administrator") as chief:
        page, header = chief.get("/configuration").text, chief.get("/").text
        answers = [
            chief.post(path, data={"action": "lock", "name": "viewer", "token": _token(chief)})
            for path in ("/configuration/reload", "/access/users", "/access/certificate/remove")
        ]

    assert 'action="/configuration/reload"' not in page
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert all("not granted" in answer.text for answer in answers)
    # the header names site and user
    assert re.search(r"<b>policy</b>", header)
    assert re.search(r'class="who" title="administrator">administrator<', header)


_REFUSED = ("refused", "refused_by_policy", "not_writable")


def _is_up() -> bool:
    try:
        with _browser() as browser:
            return browser.get("/livez").status_code == 204
    except httpx.HTTPError:
        return False


@contextmanager
def _logged_in(user: str) -> Iterator[httpx.Client]:
    with _browser() as browser:
        answer = browser.post("/login", data={"user": user, "password": PASSWORD, "token": _token(browser)})
        assert answer.status_code == 303, answer.text
        yield browser


def _browser() -> httpx.Client:
    return httpx.Client(base_url=f"https://127.0.0.1:{PORT}", verify=trusting_anybody(), timeout=20, trust_env=False)


def _token(browser: httpx.Client) -> str:
    found = re.search(r'name="token" value="([0-9a-f]{64})"', browser.get("/login").text)
    assert found
    return found[1]


def _fingerprint() -> str:
    """SHA-256 of the certificate that a handshake shows; "" while the listener is being opened."""
    try:
        with _browser() as browser, browser.stream("GET", "/livez") as answer:
            shown = answer.extensions["network_stream"].get_extra_info("ssl_object")
            return hashlib.sha256(shown.getpeercert(True)).digest().hex(":")
    except httpx.HTTPError:
        return ""
