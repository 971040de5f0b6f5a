"""`meterbridge user`, with and without a running bridge; a canary password that appears nowhere."""

import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.support.bridge_site import RunningBridge, cli, modbus_mapping, running_bridge, site_files
from tests.support.web_site import trusting_anybody

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(120)]
PORT, SIMULATOR_PORT, SYSLOG_PORT, WEB_PORT = 27070, 27071, 27072, 27073
CANARY, CANARY_2, CANARY_3 = "canary-kJ81-first", "canary-zP42-second", "canary-Qw73-wrong"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    access = {"roles": {"janitor": {"rights": ["read"]}}, "passwords": {"min_length": 10}}
    services = {"syslog": {"host": "127.0.0.1", "port": SYSLOG_PORT}}
    folder = tmp_path_factory.mktemp("users") / "site"
    console = {"listener": {"port": WEB_PORT, "bind": "127.0.0.1"}}
    return site_files(folder, access, {"modbus": modbus_mapping(PORT), "web": console}, services=services)


@pytest.fixture(scope="module")
def collector() -> Iterator[socket.socket]:
    """A syslog server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", SYSLOG_PORT))
        sock.settimeout(10)
        yield sock


@pytest.fixture(scope="module")
def bridge(site: Path, collector: socket.socket) -> Iterator[RunningBridge]:
    # without a bridge first: the command line keeps the audit itself
    assert cli("user", "add", str(site), "anna", "--role", "technician", stdin=f"{CANARY}\n").returncode == 0
    with running_bridge(site, SIMULATOR_PORT) as running:
        yield running


def test_users_are_added_changed_locked_and_listed(bridge: RunningBridge) -> None:
    #
    where = str(bridge.site)

    assert bridge.cli("user", "add", where, "bob", "--role", "janitor", stdin=f"{CANARY_2}\n").returncode == 0
    assert bridge.cli("user", "passwd", where, "anna", stdin=f"{CANARY_2}\n").returncode == 0
    assert bridge.cli("user", "lock", where, "bob").returncode == 0
    listed = yaml.safe_load(bridge.cli("user", "list", where, "--json").stdout)

    assert listed == [
        {"name": "anna", "role": "technician", "locked": False},
        {"name": "bob", "role": "janitor", "locked": True},
    ]
    assert bridge.cli("user", "unlock", where, "bob").returncode == 0
    assert bridge.cli("user", "remove", where, "bob").returncode == 0
    told = [(r["result"], r["target"]) for r in bridge.audit() if r["kind"] == "user"]
    assert told == [
        ("added as technician", "anna"),
        ("added as janitor", "bob"),
        ("password changed", "anna"),
        ("locked", "bob"),
        ("unlocked", "bob"),
        ("removed", "bob"),
    ]
    assert bridge.cli("audit", "verify", where).returncode == 0


@pytest.mark.parametrize(
    ("words", "stdin", "told"),
    [
        (("add", "eve", "--role", "chief"), CANARY, "expected a role of the site, found chief"),
        (("add", "anna", "--role", "viewer"), CANARY, "expected a new name"),
        (("add", "eve", "--role", "viewer"), CANARY[:9], "expected a password of 10 to 128 characters"),
        (("lock", "eve"), "", "expected a user, found eve"),
    ],
)
def test_what_cannot_be_done_is_told_without_the_password(
    bridge: RunningBridge, words: tuple[str, ...], stdin: str, told: str
) -> None:
    done = bridge.cli("user", words[0], str(bridge.site), *words[1:], stdin=stdin)

    assert done.returncode == 1
    assert told in done.stderr
    assert "canary" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def logged_in(user: str, password: str) -> str:
    """Log in at the console; return what it answers, pages for whoever is in included."""
    with httpx.Client(base_url=f"https://127.0.0.1:{WEB_PORT}", verify=trusting_anybody(), timeout=20) as browser:
        found = re.search(r'name="token" value="([0-9a-f]{64})"', browser.get("/login").text)
        assert found
        login = {"user": user, "password": password, "token": found[1]}
        answer = browser.post("/login", data=login, headers={"origin": str(browser.base_url).rstrip("/")})
        return answer.text + str(answer.headers) + browser.get("/").text + browser.get("/events").text


def test_a_password_appears_in_no_file_log_export_or_json(bridge: RunningBridge) -> None:
    # BARS S6
    where, out = str(bridge.site), bridge.site.parent / "exported"
    shown = "".join(logged_in(user, password) for user in ("anna", "nobody") for password in (CANARY_2, CANARY_3))
    # a password where a name is expected is a mistake that people make
    shown += bridge.cli("user", "lock", where, "anna").stdout
    shown += logged_in("anna", CANARY_2)
    assert bridge.cli("user", "unlock", where, "anna").returncode == 0
    for words in (
        ("status", where, "--json"),
        ("points", where, "--live", "--json"),
        ("audit", "show", where, "--json"),
        ("security", where, "--json"),
        ("user", "list", where, "--json"),
        ("export", "modbus-map", where, "--out", str(out)),
        ("check", where),
    ):
        done = bridge.cli(*words)
        assert done.returncode == 0, done.stderr
        shown += done.stdout + done.stderr
    files = [path for path in bridge.site.parent.rglob("*") if path.is_file()]
    written = b"".join(path.read_bytes() for path in files)

    assert len(files) > 5
    assert b"login" in written
    for canary in (CANARY, CANARY_2, CANARY_3):
        assert canary not in shown
        assert canary.encode() not in written


def test_the_audit_goes_to_syslog_with_its_place_in_the_chain(bridge: RunningBridge, collector: socket.socket) -> None:
    # BARS S6, X-14
    assert bridge.write("landlord.active_energy_import", "0").returncode == 1
    record = next(r for r in bridge.audit() if r["target"] == "landlord.active_energy_import")
    message = ""
    while "landlord.active_energy_import" not in message:
        message = collector.recv(4096).decode()

    # facility local0 (16), severity notice (5): priority 96 is in the band 64-127
    assert message.startswith("<133>1 ")
    assert "not_writable (a MID meter bills by this point)" in message
    assert f"audit {record['n']} {record['hash'][:16]}" in message
    assert CANARY not in message


def test_everything_secret_is_for_the_owner_only(bridge: RunningBridge) -> None:
    state_dir = bridge.site.parent / "var"

    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((state_dir / "users.json").stat().st_mode) == 0o600
    assert {stat.S_IMODE(path.stat().st_mode) for path in (state_dir / "audit").iterdir()} == {0o600}
