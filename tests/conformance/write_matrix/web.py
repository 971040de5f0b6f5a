"""The console: the set form, by whoever holds the first token, and the JSON API, which knows no write."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import httpx

from tests.conformance.write_matrix.entry import Attempt, Entry
from tests.support.bridge_site import RunningBridge
from tests.support.web_site import trusting_anybody


def web_attempt(point: str, told: str, target: tuple[str, ...]) -> Attempt:
    """The set form of one point, confirmed."""

    def send(bridge: RunningBridge, port: int) -> str:
        browser = _first_user(bridge.site.parent / "var" / "first-run-token", port)
        form = {"value": "1", "sure": "1", "token": _form_token(browser)}
        answer = browser.post(f"/points/landlord.{point}/command", data=form)
        assert answer.status_code == 403
        return answer.text

    return Attempt(f"web set {point}", send, told, target)


def nobody(_: RunningBridge, port: int) -> str:
    """The same form without a login."""
    with _browser(port) as browser:
        form = {"value": "1", "sure": "1", "token": _form_token(browser)}
        return str(browser.post("/points/landlord.overload_threshold/command", data=form).status_code)


def api(_: RunningBridge, port: int) -> str:
    with _browser(port) as browser:
        return str(browser.put("/api/v1/points/landlord.overload_threshold", json={"value": 1}).status_code)


def administration(path: str) -> Callable[[RunningBridge, int], str]:
    """An order to the bridge itself without a login."""

    def send(_: RunningBridge, port: int) -> str:
        with _browser(port) as browser:
            form = {"action": "add", "name": "eve", "role": "administrator", "password": "x" * 9 + "yz"}
            return str(browser.post(path, data=form | {"token": _form_token(browser)}).status_code)

    return send


@cache
def _first_user(token: Path, port: int) -> httpx.Client:
    """The token serves once."""
    browser = _browser(port)
    login = {"user": "setup", "password": token.read_text().strip(), "token": _form_token(browser)}
    assert browser.post("/login", data=login).status_code == 303
    return browser


def _browser(port: int) -> httpx.Client:
    return httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=trusting_anybody(), timeout=20, trust_env=False)


def _form_token(browser: httpx.Client) -> str:
    found = re.search(r'name="token" value="([0-9a-f]{64})"', browser.get("/login").text)
    assert found
    return found[1]


WEB = (
    web_attempt("overload_threshold", "refused by policy", ("landlord.overload_threshold",)),
    web_attempt("reset_demand_peak", "refused by policy", ("landlord.reset_demand_peak",)),
    web_attempt("active_energy_import", "not writable", ("landlord.active_energy_import",)),
    Attempt("web set without login", nobody, "403", ()),
    Attempt("web users without login", administration("/access/users"), "403", ()),
    Attempt("web reload without login", administration("/configuration/reload"), "403", ()),
    Attempt("web certificate without login", administration("/access/certificate"), "403", ()),
    Attempt("web api", api, "405", ()),
)
ENTRY = Entry("web", lambda port: {"listener": {"port": port, "bind": "127.0.0.1"}, "administration": "on"}, WEB)
