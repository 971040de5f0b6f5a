"""Alarms as conditions without a network: what is told, what is a branch, what a refresh leaves out."""

from typing import Any, cast

import msgspec
import pytest

from bridge.core.alarm import Alarm
from bridge.core.clock import SystemClock
from bridge.core.store import PointStore
from bridge.projections.opcua.conditions import Conditions, Powers
from bridge.projections.opcua.event_filter import Filter
from bridge.projections.opcua.event_items import EventItem
from bridge.projections.opcua.image import Image
from bridge.projections.opcua.model import Model
from bridge.projections.opcua.plan import Acknowledging
from bridge.projections.opcua.sampling import REPORTING
from tests.support.kept_alarms import Alarms
from tests.support.modbus_site import NOW_NS, site, store_of

FACTS = site(2)
VOLTAGE = next(d for d in FACTS.points if d.id == "m1.voltage_l1")
# of the second meter: its points are not shown
OTHER = next(d for d in FACTS.points if d.id == "m2.voltage_l1")


class Bench:
    def __init__(self, *alarms: Alarm, shown: str = "m1") -> None:
        points = [d for d in FACTS.points if d.device == shown]
        store: PointStore = store_of(FACTS)
        model = Model(points, FACTS.devices, store.definition)
        self.port = Alarms(kept={alarm.id: alarm for alarm in alarms})
        powers = Powers(cast("Any", None), cast("Any", None), {}, Acknowledging.ALLOWED, 1.0)
        image = Image(store, model, lambda _: None)
        self.conditions = Conditions(self.port, model, image, SystemClock(), powers)
        self.item: EventItem = self.conditions.item(None)
        self.item.configure(1, Filter(("SourceName", "BranchId"), ()), 100, discard_oldest=True)
        self.item.set_mode(REPORTING)

    def told(self) -> list[str]:
        """Source names; an event of a branch ends with its alarm."""
        found = []
        for data in self.item.take(100):
            size = int.from_bytes(data[9:13], "little")
            name = data[13 : 13 + size].decode()
            found.append(name + (data[13 + size :].rpartition(b"#")[2].decode() if b"#" in data else ""))
        return found


def alarm(id_: int, index: int = VOLTAGE.index, device: str = "m1") -> Alarm:
    return Alarm(id_, "over", "Over", device, index, 200, NOW_NS + id_)


def ended(one: Alarm) -> Alarm:
    return msgspec.structs.replace(one, end_ns=NOW_NS + 99)


def test_what_was_there_before_is_told_by_a_refresh_and_not_by_itself() -> None:
    bench = Bench(alarm(1))
    before = bench.told()
    bench.conditions.refresh([bench.item])

    assert (before, bench.told()) == ([], ["Server", "m1.voltage_l1", "Server"])


def test_a_new_extreme_is_no_event_and_an_end_is_one() -> None:
    bench = Bench()
    bench.port.put(alarm(1))
    bench.port.put(msgspec.structs.replace(alarm(1), extreme=300.0))
    bench.port.put(ended(alarm(1)))

    assert bench.told() == ["m1.voltage_l1"] * 2


def test_only_what_still_matters_of_the_same_condition_is_a_branch() -> None:
    acknowledged = msgspec.structs.replace(ended(alarm(1)), acknowledged_ns=NOW_NS)
    bench = Bench(acknowledged, ended(alarm(2)))
    bench.port.put(alarm(3))
    told = bench.told()
    bench.conditions.refresh([bench.item])

    assert told == ["m1.voltage_l12", "m1.voltage_l1"]
    assert bench.told() == ["Server", "m1.voltage_l12", "m1.voltage_l1", "Server"]


@pytest.mark.parametrize(
    ("one", "name"),
    [
        (alarm(1, -1), "m1"),
        # points and meters that this mapping leaves out
        (alarm(1, OTHER.index, "m2"), "m2"),
        (alarm(1, 10**6), "m1"),
        (alarm(1, -1, ""), "Server"),
    ],
)
def test_an_alarm_of_no_point_that_is_shown_is_its_meters_or_the_servers(one: Alarm, name: str) -> None:
    bench = Bench()
    bench.port.put(one)

    assert bench.told() == [name]


def test_an_item_that_is_closed_hears_nothing_more() -> None:
    bench = Bench()
    bench.item.close()
    bench.port.put(alarm(1))

    assert not bench.item.waiting()
    assert bench.conditions._items == {}


# BARS I1: names of gone alarms do not pile up
def test_no_more_is_remembered_than_the_bridge_keeps() -> None:
    bench = Bench()
    for number in range(1, 2000):
        bench.port.kept.clear()
        bench.port.put(ended(alarm(number)))

    assert len(bench.conditions._told) <= 20
