"""`verify` on the tower: every point of a hundred meters on every protocol that has a client, against the registers."""

import json
from pathlib import Path

import pytest

from bridge.verify.run import CLIENTS
from tests.support.tower import PROTOCOLS, running_tower

METERS = 100
# of each meter
POINTS = 80
PORT_BASE = 24_900


@pytest.mark.real_time
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_server_of_the_tower_tells_what_its_meters_say(tmp_path: Path) -> None:
    with running_tower(tmp_path, PORT_BASE, METERS) as tower:
        done = tower.bridge("verify", str(tower.site), "--json", timeout_s=400)
    rows = json.loads(done.stdout)
    compared = {row["protocol"] for row in rows}
    wrong = [row for row in rows if row["verdict"] != "good"]

    assert (done.returncode, wrong[:5]) == (0, []), done.stderr
    assert compared == {"meter", *(set(CLIENTS) & set(PROTOCOLS))}
    assert all(sum(row["protocol"] == name for row in rows) >= METERS * POINTS for name in compared)
    assert "Traceback" not in tower.log.read_text()
