"""
`python -m tests.bench services`: an hour of 100 meters of 80 points with every service and the history on, in virtual
time; the CPU it takes as a share of a core. The bar: 10 %.
"""

import asyncio
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from bridge.app.own import OwnServices
from bridge.config.history_keys import HistoryKey, RecordKey
from bridge.config.model import FieldDevice
from bridge.config.services import ServicesFile
from bridge.core.point import Nominal, PointDef, Sample
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from tests.bench.table import Table
from tests.support import sim_site
from tests.support.clock import ManualClock
from tests.support.field_points import device, point

METERS = 100
# (period in seconds, names): 80 measured points a meter
_PHASES = ("l1", "l2", "l3")
_FAST = [f"{q}_{p}" for q in ("active_power", "current") for p in _PHASES] + ["active_power_total", "current_neutral"]
_NORMAL = [f"{q}_{p}" for q in ("reactive_power", "apparent_power", "power_factor") for p in (*_PHASES, "total")]
_NORMAL += [f"voltage_{p}_n" for p in _PHASES] + ["voltage_l1_l2", "voltage_l2_l3", "voltage_l3_l1", "frequency"]
_SLOW = [f"{q}_energy_{d}{t}" for q in ("active", "reactive") for d in ("import", "export") for t in ("", "_t1", "_t2")]
_OTHER = [f"x_other_{n}" for n in range(80 - len(_FAST) - len(_NORMAL) - len(_SLOW))]
_PERIODS = {5: _FAST, 10: _NORMAL + _OTHER, 60: _SLOW}
_OWN = [
    "communication_status",
    "phase_loss_l1",
    "phase_loss_l2",
    "phase_loss_l3",
    "overload_alarm",
    "energy_direction",
    "voltage_unbalance_alarm",
    "current_unbalance_alarm",
    "demand_peak_current",
    "demand_peak_timestamp",
]


def _meters() -> tuple[list[FieldDevice], dict[int, list[PointDef]]]:
    made: list[FieldDevice] = []
    due: dict[int, list[PointDef]] = {period: [] for period in _PERIODS}
    index = 0
    for n in range(METERS):
        measured: list[PointDef] = []
        for period, names in _PERIODS.items():
            for name in names:
                measured.append(point(name, index, f"m{n}"))
                due[period].append(measured[-1])
                index += 1
        own = [point(name, index + k, f"m{n}") for k, name in enumerate(_OWN)]
        index += len(own)
        made.append(device(measured, own, Nominal(230, 80, 50), f"m{n}"))
    return made, due


def _sample(definition: PointDef, second: int, utc_ns: int) -> Sample:
    value = second + definition.index if definition.resolution else 230.0 + second % 7
    return Sample(value, Quality.GOOD, utc_ns, second)


@dataclass(frozen=True, slots=True)
class Used:
    """What `seconds` of virtual time took."""

    points: int
    samples: int
    rows: int
    cpu_s: float
    seconds: int

    @property
    def share(self) -> float:
        """Of a core."""
        return self.cpu_s / self.seconds


async def used(seconds: int, folder: Path) -> Used:
    """Run the services for `seconds` of virtual time; the disk is real."""
    devices, due = _meters()
    site = sim_site.site(devices, channels={})
    record = (RecordKey(match="*power_total", every_s=60), RecordKey(match="*", every_s=900))
    site = replace(site, state_dir=folder, services=ServicesFile(history=HistoryKey(record=record)))
    clock = ManualClock()
    store = PointStore(site.points, site.devices)
    own = OwnServices(store, clock)
    await own.start(site)
    recorder = own.memory.recorder
    assert recorder is not None
    before = time.process_time()
    samples = rows = 0
    for second in range(seconds):
        for period, points in due.items():
            # the meters of a period spread over its seconds
            mine = [p for p in points if int(p.device[1:]) % period == second % period]
            for start in range(0, len(mine), 40):
                batch = [(p.index, _sample(p, second, clock.utc)) for p in mine[start : start + 40]]
                own.gate.publish(batch)
                samples += len(batch)
        own.demand.look()
        own.alarms.look()
        own.records.look()
        own.time.look()
        rows += len(recorder.pending.samples) + len(recorder.pending.profile)
        await recorder.commit()
        clock.pass_s(1)
    cpu_s = time.process_time() - before
    await own.stop()
    return Used(len(site.points), samples, rows, cpu_s, seconds)


def run() -> Table:
    """Measure an hour."""
    with tempfile.TemporaryDirectory() as name:
        hour = asyncio.run(used(3600, Path(name)))
    row = (
        f"{METERS}",
        f"{hour.points:,}",
        f"{hour.samples:,}",
        f"{hour.rows:,}",
        f"{hour.cpu_s:.1f}",
        f"{100 * hour.share:.2f}",
        f"{1e6 * hour.cpu_s / hour.samples:.1f}",
    )
    columns = ("meters", "points", "samples", "rows written", "CPU s", "% of a core (bar 10)", "us a sample")
    note = (
        "One hour of virtual time: every reading passes index, derived points, demand, alarms and recording; every "
        "total power is recorded each minute, every other point each quarter of an hour; one commit a second on a "
        "real disk. CPU of the whole process, the writing thread included; polling and servers are measured elsewhere."
    )
    return Table("Services and history: an hour of 8,000 points", columns, (row,), note)
