"""The demo's console in Chromium: every page, both languages, two sizes, light and dark, by keyboard."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.demo import ROOT, Demo, running_demo
from tests.support.web_site import trusting_anybody

CLIENT = Path(__file__).parent / "client"
CHROMIUM = shutil.which("chromium") or ""
pytestmark = [
    pytest.mark.real_time,
    pytest.mark.slow,
    pytest.mark.timeout(400),
]
needs_chromium = pytest.mark.skipif(
    not CHROMIUM or shutil.which("node") is None or not (CLIENT / "node_modules").exists(),
    reason="Chromium and playwright-core are not installed: tools/test_packages.sh",
)
PORT_BASE = 28500
# s from the first unanswered request to the page: three polls of its class with their time-outs, and the page's own 2 s
SEEN_S = 20.0


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("console"), PORT_BASE) as running:
        yield running


@needs_chromium
def test_every_page_is_sound_in_both_languages_and_at_two_sizes(demo: Demo) -> None:
    """No console error, no request elsewhere, nothing wider than the screen, no serious fault for axe-core."""
    shots = Path(os.environ.get("ARTEFACTS", ROOT / ".artefacts")) / "console"
    shots.mkdir(parents=True, exist_ok=True)
    words = [str(demo.server("web")["url"]), str(shots), "main", "main.active_energy_import", "riser-1"]
    done = subprocess.run(_node("walk.js", *words), capture_output=True, text=True, timeout=360)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["faults"] == []
    assert found["pages"] == 88
    # the first page with everything it needs
    assert found["bytes"] < 300_000
    assert len(list(shots.glob("*.png"))) == 44


@needs_chromium
def test_a_lost_meter_shows_on_the_open_overview_and_recovers_without_a_reload(demo: Demo) -> None:
    words = _node("follow.js", str(demo.server("web")["url"]), "main")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as browser:
        assert browser.stdout is not None
        assert browser.stdout.readline() == "there\n"
        began = time.monotonic()
        demo.fault("main", "dead")
        assert browser.stdout.readline() == "lost\n"
        took_s = time.monotonic() - began
        demo.fault("main", None)
        assert browser.stdout.readline() == "back\n"

    assert took_s < SEEN_S


# BARS S3
def test_the_first_user_comes_in_by_the_token_and_wrong_tries_lock_the_door(demo: Demo) -> None:
    token = (demo.folder / "first-run-token").read_text().strip()
    url = str(demo.server("web")["url"])
    with httpx.Client(base_url=url, verify=trusting_anybody(), timeout=20, trust_env=False) as browser:
        assert _log_in(browser, "setup", token) == 303
        assert "setup" in browser.get("/").text
        # BARS S1: out of the box nothing is written, whoever asks
        command = {"value": "1", "sure": "1", "token": _token(browser)}
        refused = browser.post("/points/main.reset_demand_peak/command", data=command)
        assert refused.status_code == 403
        assert "refused by policy" in refused.text
    with httpx.Client(base_url=url, verify=trusting_anybody(), timeout=20, trust_env=False) as guesser:
        statuses = [_log_in(guesser, "setup", f"guess {number}") for number in range(9)]
        page = guesser.post("/login", data={"user": "setup", "password": token, "token": _token(guesser)}).text

    assert statuses == [401] * 9
    assert "Too many wrong tries" in page


def _log_in(browser: httpx.Client, user: str, password: str) -> int:
    return browser.post("/login", data={"user": user, "password": password, "token": _token(browser)}).status_code


def _token(browser: httpx.Client) -> str:
    found = re.search(r'name="token" value="([0-9a-f]{64})"', browser.get("/login").text)
    assert found
    return found[1]


def _node(script: str, *words: str) -> list[str]:
    return [shutil.which("node") or "node", str(CLIENT / script), *words]
