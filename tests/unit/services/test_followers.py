"""bridge.services.followers: a time stamp is read again when what it stamps moves."""

from bridge.core.point import Kind, PointDef, Sample
from bridge.core.quality import Quality
from bridge.core.quantity import meaning_of
from bridge.core.store import PointStore
from bridge.services.followers import Followers, leaders


def point(index: int, name: str, kind: Kind = Kind.ANALOG, device: str = "m1") -> PointDef:
    return PointDef(index, f"{device}.{name}", kind, meaning=meaning_of(name))


POINTS = [
    point(0, "demand_peak_current"),
    point(1, "demand_peak_timestamp", Kind.TIME),
    point(2, "voltage_l1_n_max"),
    point(3, "voltage_l1_n_max_timestamp", Kind.TIME),
    point(4, "demand_peak_timestamp", Kind.TIME, "m2"),
    point(5, "active_power_total"),
]


def sample(value: float, quality: Quality = Quality.GOOD) -> Sample:
    return Sample(value, quality, 1, 1)


def test_each_time_stamp_belongs_to_what_it_stamps_on_its_own_device() -> None:
    assert leaders(POINTS) == {0: [1], 2: [3]}


def test_a_peak_that_moves_has_its_time_read() -> None:
    asked: list[tuple[str, list[int]]] = []
    store = PointStore(POINTS)
    Followers(store, lambda device, indexes: asked.append((device, indexes)))

    store.publish([(0, sample(5.0)), (5, sample(1.0))])
    store.publish([(0, sample(5.0)), (5, sample(2.0))])
    assert asked == []

    store.publish([(0, sample(6.0)), (2, sample(240.0))])
    assert asked == [("m1", [1])]


def test_a_quality_that_comes_and_goes_asks_for_nothing() -> None:
    asked: list[str] = []
    store = PointStore(POINTS)
    Followers(store, lambda device, _: asked.append(device))
    store.publish([(0, sample(5.0))])

    store.publish([(0, sample(5.0, Quality.COMM_LOST))])
    store.publish([(0, sample(5.0))])

    assert asked == []


def test_after_a_reload_the_new_points_count() -> None:
    asked: list[str] = []
    store = PointStore(POINTS[:1])
    followers = Followers(store, lambda device, _: asked.append(device))
    store.publish([(0, sample(5.0))])

    store.redefine(POINTS)
    followers.redefine()
    store.publish([(0, sample(7.0))])

    assert asked == ["m1"]
