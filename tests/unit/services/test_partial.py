"""services.partial and config.partial: energies that somebody may zero, beside an index that nobody can (M-28)."""

from dataclasses import replace
from pathlib import Path

import pytest

from bridge.app.own import OwnServices
from bridge.config.load import load_site
from bridge.core.command import Command, Origin, Outcome
from bridge.core.point import Kind, PointDef, Role, Sample
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.services.billing import billed
from bridge.services.partial import Partials, partials_of
from tests.support import sim_site
from tests.support.clock import ManualClock
from tests.support.field_points import device, point

ENERGY = point("active_energy_import", 0, modulus=100_000_000)
PARTIAL = point("active_energy_import_partial", 1)
RESET = point("reset_partial_energy", 2, role=Role.COMMAND, kind=Kind.BINARY)
SITE = sim_site.site([device([ENERGY], [PARTIAL, RESET])], channels={})
LIBRARY = Path(__file__).parents[1] / "config" / "cases" / "library"


class Bench:
    def __init__(self, folder: Path, clock: ManualClock) -> None:
        self.clock, self.config = clock, replace(SITE, state_dir=folder)
        self.store = PointStore(SITE.points, SITE.devices)
        self.own = OwnServices(self.store, clock)

    async def start(self) -> None:
        await self.own.start(self.config)

    def read(self, count: int) -> Sample:
        self.clock.pass_s(60)
        self.own.gate.publish([(ENERGY.index, Sample(count, Quality.GOOD, self.clock.utc, 1))])
        return self.store.get(PARTIAL.index)

    async def reset(self) -> Outcome:
        command = Command(RESET.index, 1, Origin("test", "", "anna"), self.clock.monotonic + 10**9)
        return (await self.own.commands.submit(command)).outcome


@pytest.mark.real_time
async def test_a_partial_energy_counts_from_its_last_reset_and_the_index_goes_on(tmp_path: Path) -> None:
    # M-28
    bench = Bench(tmp_path, ManualClock())
    await bench.start()
    bench.read(1_000)
    before = bench.read(1_250)

    outcome = await bench.reset()
    zeroed = bench.store.get(PARTIAL.index)
    after = bench.read(1_300)

    assert (before.value, zeroed.value, after.value) == (250, 0, 50)
    assert (outcome, zeroed.quality, after.quality) == (Outcome.DONE, Quality.DISCONTINUITY, Quality.GOOD)
    assert bench.store.get(ENERGY.index).value == 1_300
    (event,) = (e for e in bench.own.events.events() if "reset_partial_energy" in e.text)
    assert (event.text, event.user) == ("m.reset_partial_energy carried out", "anna")
    await bench.own.stop()


@pytest.mark.real_time
async def test_it_goes_on_over_a_restart_with_what_was_counted_meanwhile(tmp_path: Path) -> None:
    # M-28
    clock = ManualClock()
    first = Bench(tmp_path, clock)
    await first.start()
    first.read(1_000)
    first.read(1_100)
    await first.own.stop()
    again = Bench(tmp_path, clock)
    await again.start()

    held = again.store.get(PARTIAL.index)

    assert (held.value, held.quality) == (100, Quality.STALE)
    assert again.read(1_180).value == 180
    await again.own.stop()


def test_a_rollover_is_counted_and_a_new_epoch_is_not() -> None:
    clock = ManualClock()
    store = PointStore([ENERGY, PARTIAL])
    partials = Partials(store)
    partials.redefine(partials_of([device([ENERGY], [PARTIAL])]))
    own = OwnServices(PointStore(SITE.points, SITE.devices), clock)
    own.gate.redefine(SITE.field)
    states = []
    for count in (99_999_990, 15, 3, 3, 3, 3, 8):
        clock.pass_s(60)
        own.gate.publish([(0, Sample(count, Quality.GOOD, clock.utc, 1))])
        state = own.gate.state(0)
        assert state is not None
        if state not in states:
            states.append(state)
            partials.accepted(ENERGY, state)

    assert [(s.count, s.epoch) for s in states] == [(99_999_990, 0), (15, 0), (3, 1), (8, 1)]
    assert store.get(PARTIAL.index).value == 25 + 5


def test_a_partial_energy_is_never_billed() -> None:
    # M-28
    assert billed(["*"], [ENERGY, PARTIAL]) == [ENERGY]


def test_a_pattern_makes_partial_energies_and_the_command_to_zero_them(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(
        """
site: {name: tower}
channels: {lan: {kind: tcp, host: 10.0.0.1}}
devices: {one: {meter: plain, channel: lan, unit: 1}}
services: {partial: ["*.active_energy_import"]}
"""
    )

    points: dict[str, PointDef] = {p.name: p for p in load_site(tmp_path, LIBRARY).points}

    energy, partial = points["active_energy_import"], points["active_energy_import_partial"]
    assert (partial.kind, partial.unit, partial.resolution) == (energy.kind, energy.unit, energy.resolution)
    assert (partial.mid, partial.writable, points["reset_partial_energy"].writable) == (False, False, True)
