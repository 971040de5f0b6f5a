"""bridge.projections.bacnet.cov: what is reported when, and what happens to whom does not answer"""

from collections.abc import Callable

import pytest

from bridge.core.point import Batch, Kind, PointDef, Sample
from bridge.core.ports import SiteFacts
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.projections.bacnet import wire
from bridge.projections.bacnet.cov import CovEngine, CovLimits, Peer, SubscriptionRefused
from bridge.projections.bacnet.model import Catalogue, DeviceModel
from tests.support.bacnet_site import plan_of
from tests.support.modbus_site import device


class Bench:
    """An engine over four analog inputs, a text and a counter, a clock set by hand and peers that record."""

    def __init__(self, **limits: float) -> None:
        points = [PointDef(k, f"m1.p{k}", Kind.ANALOG, "V", deadband=0.5) for k in range(4)]
        points += [PointDef(4, "m1.text", Kind.TEXT), PointDef(5, "m1.energy", Kind.ACCUMULATOR, "kWh", resolution=-2)]
        facts = SiteFacts("s", points, [device(1)])
        self.catalogue = Catalogue(plan_of(facts), PointStore(points))
        for point in self.catalogue.definitions:
            point.entries, point.sealed = self.catalogue.dynamic_entries(point.shape), True
        self.device = DeviceModel(self.catalogue, 1001, range(6))
        self.now = 1000.0
        self.allowed = True
        chosen = CovLimits(**limits)  # type: ignore[arg-type]
        self.engine = CovEngine(self.catalogue, lambda: self.now, chosen, lambda: self.allowed, self.later)
        self.sent: list[bytes] = []
        self.due: list[tuple[float, Callable[[], None]]] = []
        for k in range(4):
            self.store(k, 0.0)

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self.due.append((self.now + seconds, call))

    def run(self) -> None:
        """Let the time pass that the engine asked for, once."""
        self.now, call = self.due.pop(0)
        call()

    def store(self, index: int, value: float | int | str, quality: Quality = Quality.GOOD) -> None:
        batch: Batch = [(index, Sample(value, quality, 1, 1))]
        self.catalogue.update(batch)

    def peer(self, name: str = "a") -> Peer:
        return self.engine.peers.get(name) or Peer(name, lambda apdu, _: self.sent.append(apdu))

    def subscribe(
        self,
        position: int = 0,
        *,
        process: int = 1,
        confirmed: bool = False,
        lifetime_s: int = 60,
        prop: int | None = None,
        peer: str = "a",
    ) -> None:
        s = self.engine.subscribe(
            self.peer(peer),
            self.device,
            position,
            process,
            prop,
            confirmed=confirmed,
            lifetime_s=lifetime_s,
            increment=None,
        )
        self.engine.report(s)


def test_a_change_within_the_increment_is_not_reported() -> None:
    b = Bench()
    b.subscribe()
    b.sent.clear()

    b.store(0, 0.4)
    assert b.sent == []
    b.store(0, 0.5)

    assert len(b.sent) == 1


# Defect 2 of the stock server: COV never reports a dead meter
def test_a_dead_meter_is_reported_at_once_with_the_last_value_and_the_fault_flag() -> None:
    b = Bench()
    b.store(0, 2.0)
    b.subscribe()
    b.sent.clear()

    b.store(0, 2.0, Quality.COMM_LOST)

    assert b.sent[0].endswith(b"\x2e\x44\x40\x00\x00\x00\x2f\x09\x6f\x2e\x82\x04\x40\x2f\x4f")


def test_out_of_service_and_event_state_are_reported_as_flags() -> None:
    b = Bench()
    b.subscribe()
    b.sent.clear()

    b.catalogue.set_state(0, 3, 1)

    assert b.sent[0].endswith(b"\x82\x04\x90\x2f\x4f")


def test_texts_and_counters_are_reported_at_every_change() -> None:
    b = Bench()
    b.store(4, "one")
    b.store(5, 7)
    b.subscribe(4)
    b.subscribe(5)
    b.sent.clear()

    b.store(4, "one")
    b.store(5, 7)
    assert b.sent == []
    b.store(4, "two")
    b.store(5, 8)

    assert [b"\x74\x00two" in b.sent[0], b"\x21\x08" in b.sent[1]] == [True, True]


def test_a_renewal_replaces_and_does_not_add() -> None:
    b = Bench()
    b.subscribe()
    b.subscribe(confirmed=True, lifetime_s=0)

    assert len(b.engine.by_key) == 1
    assert b.sent[-1][0] == 0x00
    assert b"\x39\x00\x4e" in b.sent[-1]


def test_a_lifetime_ends_and_an_indefinite_one_does_not() -> None:
    b = Bench()
    b.subscribe(0, lifetime_s=60)
    b.subscribe(1, lifetime_s=0)
    b.now += 61

    b.engine.sweep()

    assert [s.position for s in b.engine.by_key.values()] == [1]
    assert b.catalogue.watched[0] == 0


# Defect 14: 20,000 subscriptions of one peer were all taken
def test_caps_hold_per_peer_and_in_total() -> None:
    b = Bench(total=3, per_peer=2)
    b.subscribe(0)
    b.subscribe(1)
    with pytest.raises(SubscriptionRefused):
        b.subscribe(2)
    b.subscribe(2, peer="b")
    with pytest.raises(SubscriptionRefused):
        b.subscribe(3, peer="c")
    b.subscribe(0)

    assert len(b.engine.by_key) == 3


def test_changes_during_a_confirmed_notification_coalesce_into_the_newest() -> None:
    b = Bench()
    b.subscribe(confirmed=True)
    for value in (5.0, 6.0, 7.0):
        b.store(0, value)
    assert len(b.sent) == 1

    b.engine.acknowledged("a", 2, b.sent[0][2])

    assert len(b.sent) == 2
    assert b"\x44\x40\xe0\x00\x00" in b.sent[1]


def test_an_unanswered_notification_is_repeated_then_given_up_and_others_go_on() -> None:
    b = Bench(retries=3, timeout_s=3.0, window=1)
    b.subscribe(0, confirmed=True)
    b.subscribe(1, confirmed=True)
    assert len(b.sent) == 1
    for _ in range(4):
        b.now += 3.1
        b.engine.sweep()

    assert b.sent[0:4] == [b.sent[0]] * 4
    assert b.sent[4] != b.sent[0]
    assert b.engine.failed == 1


def test_what_moved_while_initiation_was_disabled_is_reported_when_it_is_enabled_again() -> None:
    b = Bench()
    b.subscribe()
    b.sent.clear()
    b.allowed = False
    b.store(0, 9.0, Quality.COMM_LOST)
    assert b.sent == []

    b.allowed = True
    b.engine.resume()

    assert len(b.sent) == 1


def test_a_property_subscription_reports_that_property() -> None:
    b = Bench()
    b.subscribe(prop=wire.RELIABILITY)
    b.sent.clear()
    b.store(0, 50.0)
    assert b.sent == []

    b.store(0, 50.0, Quality.COMM_LOST)

    assert b"\x4e\x09\x67\x2e\x91\x0c\x2f\x09\x6f\x2e\x82\x04\x40\x2f\x4f" in b.sent[0]


def test_the_burst_of_a_dead_meter_is_paced_and_carries_the_newest_values() -> None:
    b = Bench(total=500, per_peer=500)
    for process in range(120):
        b.subscribe(process % 4, process=process, lifetime_s=0)
        b.now += 1
    b.sent.clear()

    for index in range(4):
        b.store(index, 1.0, Quality.COMM_LOST)
    at_once = len(b.sent)
    b.store(3, 2.0, Quality.COMM_LOST)
    b.run()
    then = len(b.sent)
    b.run()

    assert (at_once, then, len(b.sent)) == (50, 100, 120)
    assert b.due == []
    assert b.sent[-1].endswith(b"\x2e\x44\x40\x00\x00\x00\x2f\x09\x6f\x2e\x82\x04\x40\x2f\x4f")
