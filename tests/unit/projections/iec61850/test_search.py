"""The short search of libiec61850, in its own memory: what it may touch, and that it leaves nothing behind."""

import time
from collections.abc import Iterator

import pytest

from bridge.core.point import Sample
from bridge.core.quality import Quality
from bridge.projections.iec61850 import lib61850, scl, updates
from bridge.projections.iec61850.cid import cid
from bridge.projections.iec61850.controls import Desk
from bridge.projections.iec61850.ied_server import Identity, IedServer, ServerConfig
from bridge.projections.iec61850.lib61850 import LibraryError
from bridge.projections.iec61850.native import DynamicModel
from bridge.projections.iec61850.search import NarrowSet
from bridge.projections.iec61850.tree import Model
from tests.support.mms_site import facts_for, plan_of, site

FACTS = site(2)
LIBRARY = lib61850.load()


def model_of(layout: str) -> Model:
    plan = plan_of(FACTS, reports={"layout": layout})
    return scl.load(cid(plan, "1"), facts_for(FACTS))


@pytest.fixture
def native() -> Iterator[DynamicModel]:
    made = DynamicModel(LIBRARY, model_of("periodic-per-device"))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda members: members[:-1], "members, asked for were"),
        (lambda members: (*members, members[0]), "members, asked for were"),
        (lambda members: (*members[:-1], "MMXU1$MX$Nope"), "does not have the members asked for"),
        (lambda members: tuple(reversed(members)), "does not have the members asked for"),
    ],
    ids=["one less", "one more", "another", "another order"],
)
def test_memory_that_is_not_as_expected_is_not_touched(native: DynamicModel, change: object, message: str) -> None:
    made = native.data_sets[0]
    assert callable(change)

    with pytest.raises(LibraryError, match=message):
        NarrowSet(made.handle, change(made.members))


@pytest.mark.parametrize("layout", ["periodic-per-device", "full-wide"])
def test_an_update_leaves_every_data_set_as_it_was(layout: str) -> None:
    model, failures = model_of(layout), list[BaseException]()
    desk = Desk(_ignore, _ignore, lambda: None, time.monotonic_ns, time.time_ns, failures.append, 10**9)
    points = {definition.id: definition for definition in FACTS.points}
    config = ServerConfig(Identity("v", "m", "r"), 5, 16_384)
    with IedServer(LIBRARY, model, points, config, desk) as server:
        sets = [NarrowSet(made.handle, made.members) for made in server.native.data_sets]
        before = [narrow_set.shown for narrow_set in sets]

        for step in range(3):
            quality = Quality.STALE if step == 1 else Quality.GOOD
            server.updates.apply(
                (d.index, Sample(1000 + step, quality, time.time_ns(), step)) for d in FACTS.points if d.resolution
            )

        assert [narrow_set.shown for narrow_set in sets] == before
        assert all(
            len(values) == len(made.members) for values, made in zip(before, server.native.data_sets, strict=True)
        )
        assert all(all(values) for values in before)
    assert failures == []


def test_a_library_with_another_memory_is_searched_the_long_way_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NarrowSet:
        raise LibraryError("another layout")

    monkeypatch.setattr(updates, "NarrowSet", refuse)
    failures = list[BaseException]()
    desk = Desk(_ignore, _ignore, lambda: None, time.monotonic_ns, time.time_ns, failures.append, 10**9)
    points = {definition.id: definition for definition in FACTS.points}
    config = ServerConfig(Identity("v", "m", "r"), 5, 16_384)
    with IedServer(LIBRARY, model_of("periodic-per-device"), points, config, desk) as server:
        server.updates.apply(
            [(d.index, Sample(1000, Quality.GOOD, time.time_ns(), 1)) for d in FACTS.points if d.resolution]
        )

        assert server.updates.counts.written == sum(bool(d.resolution) for d in FACTS.points)
    assert [str(error) for error in failures] == ["another layout"]


def _ignore(*_: object) -> None:
    """Nobody commands or refuses here."""
