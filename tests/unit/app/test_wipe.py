"""bridge.app.wipe: what is removed, in which order, and what is not"""

import os
from pathlib import Path

import pytest

from bridge.app.wipe import Keep, Step, WipeError, step_of, wipe
from bridge.config.load import load_site
from tests.support.bridge_site import cli, modbus_mapping, site_files

STATE = {
    "tls/ca.key": Step.CERTIFICATES,
    "web/key.pem": Step.CERTIFICATES,
    "opcua/own/certificate.der": Step.CERTIFICATES,
    "users.json": Step.USERS,
    "first-run-token": Step.USERS,
    "iec61850/bridge.cid": Step.CID,
    "audit/000001.jsonl": Step.LOGS,
    "history/history.sqlite": Step.ENERGIES,
    "peak_resets.json": Step.ENERGIES,
    "gateway/traffic.json": Step.FILES,
}


def site(folder: Path) -> Path:
    made = site_files(folder / "site", None, {"modbus": modbus_mapping(1502)})
    for name in STATE:
        path = made.parent / "var" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"canary {name}")
    return made


@pytest.mark.parametrize(("name", "step"), STATE.items())
def test_every_file_belongs_to_a_step(name: str, step: Step) -> None:
    assert step_of(Path(name)) is step


def test_all_that_the_bridge_knows_goes_in_the_order_of_the_seed_and_nothing_else(tmp_path: Path) -> None:
    #
    path = site(tmp_path)
    outside, foreign = tmp_path / "outside.txt", path.parent / "notes.txt"
    for kept in (outside, foreign):
        kept.write_text("mine")
    (path.parent / "var" / "link").symlink_to(outside)
    (path.parent / "var" / "folder").symlink_to(tmp_path)

    wiped = wipe(load_site(path), path, Keep.NOTHING)

    assert [(w.step, w.files) for w in wiped] == [
        (Step.CONFIGURATION, 3),
        (Step.FILES, 3),
        (Step.CERTIFICATES, 3),
        (Step.CID, 1),
        (Step.USERS, 2),
        (Step.LOGS, 1),
        (Step.ENERGIES, 2),
    ]
    left = {str(found.relative_to(tmp_path)) for found in tmp_path.rglob("*") if not found.is_dir()}
    assert left == {"outside.txt", "site/notes.txt"}
    assert outside.read_text() == foreign.read_text() == "mine"


def test_what_was_in_a_file_is_overwritten_before_it_is_removed(tmp_path: Path) -> None:
    #
    path = site(tmp_path)
    secret = path.parent / "var" / "tls" / "ca.key"
    descriptor = os.open(secret, os.O_RDONLY)
    wipe(load_site(path), path, Keep.CONFIGURATION)

    held = os.read(descriptor, 100)
    os.close(descriptor)
    assert held == bytes(len("canary tls/ca.key"))
    assert path.exists()


def test_a_state_directory_that_holds_the_site_itself_is_refused(tmp_path: Path) -> None:
    path = site(tmp_path)
    path.write_text(path.read_text().replace("state_dir: var", "state_dir: ."))

    with pytest.raises(WipeError, match="expected a state directory of its own"):
        wipe(load_site(path), path, Keep.NOTHING)
    assert (path.parent / "var" / "users.json").exists()


@pytest.mark.real_time
def test_without_the_name_of_the_site_nothing_is_removed(tmp_path: Path) -> None:
    #
    path = site(tmp_path)
    refused = [cli("wipe", str(path), *words) for words in ((), ("--confirm", "other"))]
    kept = sorted(path.parent.rglob("*"))
    done = cli("wipe", str(path), "--confirm", "policy")

    assert [run.returncode for run in refused] == [1, 1]
    assert "nothing was removed" in refused[0].stderr
    assert path.parent / "var" / "users.json" in kept
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].startswith("configuration: 3 files")
    assert not path.exists()
    assert not (path.parent / "var").exists()
