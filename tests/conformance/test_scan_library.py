"""`scan` on a line with one of every meter of the library, and the site file it proposes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.config.library import library_dir
from bridge.config.load import load_site
from bridge.config.yaml_marks import read_file
from tests.support.demo import environment, wait_until
from tests.support.tower import end, simulate

pytestmark = [pytest.mark.real_time, pytest.mark.slow, pytest.mark.timeout(120)]
FILES = {path.stem: read_file(path).data for path in sorted(library_dir().glob("*.yaml"))}
UNITS = {name: unit for unit, name in enumerate(FILES, 1)}


def device(name: str, channel: str = "line") -> dict[str, Any]:
    made: dict[str, Any] = {"meter": name, "channel": channel, "unit": UNITS[name]}
    if FILES[name].get("models"):
        made["model"] = next(iter(FILES[name]["models"]))
    return made


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A bridge that knows one of the devices of its line."""
    folder = tmp_path_factory.mktemp("scan")
    whole: dict[str, Any] = {
        "site": {"name": "scan", "state_dir": "var"},
        "channels": {"line": {"kind": "tcp", "host": "127.0.0.1", "port": 502}},
        "devices": {f"d{UNITS[name]}": device(name) for name in FILES},
    }
    with ExitStack() as ending:
        whole["channels"]["line"]["port"] = simulate(folder, whole, ending)["line"]["port"]
        known = {**whole, "devices": {"known": device("ion7400")}}
        place = folder / "run"
        place.mkdir()
        (place / "site.yaml").write_text(yaml.safe_dump(known, sort_keys=False))
        process = subprocess.Popen(
            [sys.executable, "-m", "bridge", "run", str(place)], stderr=subprocess.DEVNULL, env=environment()
        )
        ending.callback(end, process)
        wait_until(lambda: command("status", str(place)).returncode == 0, 30)
        yield place


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bridge", *words], capture_output=True, text=True, env=environment(), timeout=60
    )


def test_every_meter_that_can_be_recognised_is(site: Path) -> None:
    done = command("scan", str(site), "line", "--units", f"1-{len(FILES) + 1}", "--timeout-s", "2", "--json")
    found = {row["unit"]: row for row in json.loads(done.stdout)}

    assert found.keys() == set(UNITS.values())
    assert {name: found[unit]["meter"] for name, unit in UNITS.items() if FILES[name].get("identify")} == {
        name: name for name in FILES if FILES[name].get("identify")
    }
    # what has no fingerprint is never taken for something else
    assert {found[unit]["meter"] for name, unit in UNITS.items() if not FILES[name].get("identify")} <= {"", None}
    assert [row["device"] for row in found.values() if row["device"]] == ["known"]


def test_the_proposal_is_a_site_file(site: Path, tmp_path: Path) -> None:
    done = command("scan", str(site), "line", "--units", f"1-{len(FILES)}", "--timeout-s", "2")
    proposal = done.stdout[done.stdout.index("devices:") :]
    recognised = {name for name in FILES if FILES[name].get("identify")} - {"ion7400"}
    proposed = yaml.safe_load("\n".join(line for line in proposal.splitlines() if "?" not in line))["devices"]
    written = yaml.safe_load((site / "site.yaml").read_text())
    written["devices"] |= {
        name: {**facts, **({"model": m} if (m := device(facts["meter"]).get("model")) else {})}
        for name, facts in proposed.items()
    }
    (tmp_path / "site.yaml").write_text(yaml.safe_dump(written))

    assert {facts["meter"] for facts in proposed.values()} == recognised
    assert {d.definition.meter for d in load_site(tmp_path).field} >= recognised | {"ion7400"}
