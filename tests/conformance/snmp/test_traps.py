"""snmptrapd receives what the worker tells unasked, in every form, and acknowledges informs."""

import asyncio
from pathlib import Path

import cryptography
import pytest

from bridge.core.event import Event, EventKind
from bridge.core.point import NEVER_READ
from bridge.core.quality import Quality
from bridge.workers.supervisor import Supervisor
from tests.support.net_snmp import HAVE_TRAPD, tool, trapd
from tests.support.snmp_site import facts, point, projected, spec_of, store_of, turn
from tests.support.workers import running, status, until

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.timeout(60),
    pytest.mark.skipif(not HAVE_TRAPD, reason="Debian package snmptrapd"),
]
PORT, TRAP_PORT = 21130, 21131
ENGINE_ID = "80001f8805aabbccddeeff"
V2C = {"host": "127.0.0.1", "port": TRAP_PORT, "community": "reader"}
V3 = {"host": "127.0.0.1", "port": TRAP_PORT, "user": "ops"}
# pysnmp 7.1.30 cannot encrypt with an older one (pyproject.toml)
ENCRYPTS = int(cryptography.__version__.split(".")[0]) >= 47
FORMS = [
    pytest.param(V2C, "TRAP2, SNMP v2c", id="v2c trap"),
    pytest.param({**V2C, "form": "inform"}, "INFORM, SNMP v2c", id="v2c inform"),
    pytest.param(V3, "TRAP2, SNMP v3, user ops", id="v3 trap"),
    pytest.param({**V3, "form": "inform"}, "INFORM, SNMP v3, user ops", id="v3 inform"),
]


def counters(supervisor: Supervisor) -> dict[str, int]:
    return dict(status(supervisor, "snmp").counters)


# S-05
@pytest.mark.parametrize(("receiver", "form"), FORMS)
async def test_a_station_hears_of_start_lost_meter_and_its_return(
    tmp_path: Path, receiver: dict[str, object], form: str
) -> None:
    if "user" in receiver and not ENCRYPTS:
        pytest.skip("needs cryptography 47")
    made, store = projected(PORT, engine_id=ENGINE_ID, traps={"receivers": [receiver]}), store_of(facts())
    async with trapd(tmp_path, TRAP_PORT) as station, running(store, [spec_of(made, tmp_path / "state")]) as supervisor:
        await until(lambda: len(station.lines()) == 2)
        turn(store, "main", Quality.COMM_LOST)
        # within one poll of the demo's fast class, 1 s
        await until(lambda: len(station.of("mbDeviceLost")) == 1, 1.0)
        turn(store, "main", Quality.GOOD)
        await until(lambda: len(station.of("mbDeviceRestored")) == 1, 1.0)
        # a second inform would come after 2 s if the first were not acknowledged
        await asyncio.sleep(2.5)
        await until(lambda: counters(supervisor).get("out_traps") == 4, 10)
        assert counters(supervisor)["traps_dropped"] == 0
    start, link, lost, restored = station.lines()
    assert "snmpTraps.1" in start or ".5.1" in start
    assert ".5.4" in link
    assert all(form in line for line in station.lines())
    assert "mbEventText.0 = STRING: main does not answer" in lost
    assert "mbDeviceName.5 = STRING: main" in lost
    assert "mbDeviceStatus.5 = INTEGER: offline(4)" in lost
    assert "mbEventPriority.0 = INTEGER: 192" in lost
    assert "mbEventText.0 = STRING: main answers again" in restored
    assert "mbDeviceStatus.5 = INTEGER: online(2)" in restored


# S-03
async def test_a_wrong_community_is_told_and_not_at_every_guess(tmp_path: Path) -> None:
    made = projected(PORT, traps={"receivers": [V2C]})
    async with trapd(tmp_path, TRAP_PORT) as station, running(store_of(facts()), [spec_of(made, tmp_path)]):
        await asyncio.gather(*(tool("snmpget", PORT, "-v2c -c guess", "mbDevices.0") for _ in range(3)))
        await until(lambda: len(station.lines()) >= 3)
        sent = await tool("snmpget", PORT, "-v2c -c public -Oqv", "mbTrapsSent.0")

    assert len([line for line in station.lines() if line.endswith(".5.5")]) == 1
    assert sent == (0, "3 notifications\n")


# S-05
@pytest.mark.parametrize(("priority", "name"), [(64, "mbEventLow"), (128, "mbEventMedium"), (255, "mbEventHigh")])
async def test_events_of_the_core_come_by_level(tmp_path: Path, priority: int, name: str) -> None:
    made = projected(PORT, traps={"receivers": [V2C]})
    wanted = point("landlord.active_power_total")
    event = Event(7, wanted.index, NEVER_READ, "power above 20 kW", EventKind.ALARM_START, priority, 10**18)
    async with (
        trapd(tmp_path, TRAP_PORT) as station,
        running(store_of(facts()), [spec_of(made, tmp_path)]) as supervisor,
    ):
        await until(lambda: len(station.lines()) == 2)
        supervisor.happened(event)
        await until(lambda: len(station.of(name)) == 1)
    line = station.of(name)[0]
    assert "mbEventNumber.0 = Counter64: 7" in line
    assert "mbEventKind.0 = STRING: alarm_start" in line
    assert "mbEventText.0 = STRING: power above 20 kW" in line
    assert "mbEventDevice.0 = STRING: landlord" in line
    assert "mbEventPoint.0 = STRING: active_power_total" in line
