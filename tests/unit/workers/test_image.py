"""bridge.host.image: to a projection it is the store"""

import msgspec
import pytest

from bridge.core.point import Batch, DeviceDef, Nominal, Wiring, changed_devices, changed_indexes, keep_indexes
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.host.image import PointImage
from bridge.link.wire import Definitions, Snapshot
from tests.support.workers import definition, sample

LOST = Quality.STALE | Quality.COMM_LOST


def image_of(count: int) -> PointImage:
    image = PointImage()
    image.define(Definitions(0, [definition(i) for i in range(count)], []))
    image.load(Snapshot(0, [(i, sample(0.0)) for i in range(count)]))
    return image


def test_image_and_store_tell_their_watchers_the_same() -> None:
    store, image = PointStore([definition(i) for i in range(3)]), image_of(3)
    store.publish([(i, sample(0.0)) for i in range(3)])
    heard: tuple[list[Batch], list[Batch]] = ([], [])
    store.subscribe([2, 0, 2], heard[0].append)
    image.subscribe([2, 0, 2], heard[1].append)
    for batch in (
        [(0, sample(1.0)), (1, sample(1.0)), (2, sample(1.0))],
        [(0, sample(1.0))],
        [(2, sample(3.0))],
    ):
        store.publish(batch)
        image.change(batch)

    assert heard[0] == heard[1] == [[(0, sample(1.0)), (2, sample(1.0))], [(2, sample(3.0))]]


def test_a_steady_value_keeps_the_time_of_its_last_reading() -> None:
    store, image, heard = PointStore([definition(0)]), image_of(1), list[Batch]()
    store.feed(lambda batch: image.change(list(batch)))
    image.subscribe([0], heard.append)
    store.publish([(0, sample(1.0, at_ns=1))])
    store.publish([(0, sample(1.0, at_ns=2))])

    assert image.get(0) == store.get(0) == sample(1.0, at_ns=2)
    assert heard == [[(0, sample(1.0, at_ns=1))]]


def test_a_subscription_may_end_inside_its_own_delivery() -> None:
    image, heard = image_of(1), list[Batch]()

    def deliver(batch: Batch) -> None:
        heard.append(batch)
        cancel()

    cancel = image.subscribe([0], deliver)
    image.change([(0, sample(1.0))])
    image.change([(0, sample(2.0))])
    cancel()

    assert len(heard) == 1


def test_points_that_were_not_declared_are_not_kept() -> None:
    image = image_of(1)
    image.change([(0, sample(1.0)), (5, sample(1.0))])

    with pytest.raises(KeyError):
        image.get(5)


def test_without_the_core_everything_is_stale_with_its_last_value_and_its_own_time() -> None:
    image, heard = image_of(2), list[Batch]()
    image.subscribe([0, 1], heard.append)
    image.change([(0, sample(230.5, at_ns=77))])
    image.core_lost()
    image.core_lost()

    assert image.get(0) == (lost := sample(230.5, at_ns=77).__class__(230.5, LOST, 77, 0))
    assert heard[1:] == [[(0, lost), (1, image.get(1))]]


def test_when_the_core_is_back_the_qualities_of_before_are_back() -> None:
    image = image_of(2)
    image.change([(1, sample(5.0).__class__(5.0, Quality.COMM_LOST, 1, 1))])
    image.core_lost()
    image.core_back()

    assert image.get(0).quality is Quality.GOOD
    assert image.get(1).quality is Quality.COMM_LOST


def test_an_index_never_changes_its_point() -> None:
    before = [definition(0, "a"), definition(1, "b"), definition(2, "c")]

    after = keep_indexes(before, [definition(0, "new"), definition(1, "c"), definition(2, "a")])

    assert [(d.id, d.index) for d in after] == [("new", 3), ("c", 2), ("a", 0)]


def test_a_device_declared_on_another_line_is_the_same_device() -> None:
    device = DeviceDef("m0", "iem3000", "V", "M", "line", 1, False, Wiring.FOUR_WIRE, Nominal(), {}, "site.yaml:1")
    moved = msgspec.structs.replace(device, declared_at="site.yaml:9")
    relabelled = msgspec.structs.replace(device, id="m1", labels={"tenant": "12"})
    old = [device, msgspec.structs.replace(device, id="m1"), msgspec.structs.replace(device, id="gone")]

    assert changed_devices(old, [moved, relabelled, msgspec.structs.replace(device, id="new")]) == {"m1", "gone", "new"}


def test_a_point_declared_on_another_line_is_the_same_point() -> None:
    before = [definition(i) for i in range(4)]
    moved = msgspec.structs.replace(before[0], declared_at="site.yaml:99")

    after = [moved, definition(1, unit="kV"), definition(2), definition(4)]

    assert changed_indexes(before, after) == {1, 3, 4}
