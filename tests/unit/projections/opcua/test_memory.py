"""What strangers touch is not kept: standard nodes they walk through, loggers of their subscriptions."""

import logging
from pathlib import Path
from typing import Any, cast

from asyncua import ua
from asyncua.server.address_space import AttributeValue, NodeData

from bridge.core.clock import SystemClock
from bridge.projections.opcua.image import Image
from bridge.projections.opcua.model import Model
from bridge.projections.opcua.node_table import KEPT, Nodes, Space
from bridge.projections.opcua.plan import Limits
from bridge.projections.opcua.standard import StandardNodes, save
from bridge.projections.opcua.subscription import Subscription, SubscriptionTools
from tests.support.modbus_site import site, store_of

FACTS = site(1)
COUNT = 3 * KEPT


def standard(number: int) -> NodeData:
    node = NodeData(ua.NodeId(number))
    value = ua.DataValue(ua.Variant(number, ua.VariantType.Int32))
    node.attributes[ua.AttributeIds.Value] = AttributeValue(value)
    return node


def space_of(folder: Path) -> tuple[Nodes, Space]:
    save({ua.NodeId(number): standard(number) for number in range(1, COUNT)}, folder / "nodes.bin")
    nodes = Nodes()
    nodes.standard, nodes.settled = StandardNodes(folder / "nodes.bin"), True
    return nodes, Space(nodes)


def walk(nodes: Nodes) -> None:
    for number in range(1, COUNT):
        assert nodes[ua.NodeId(number)].nodeid == ua.NodeId(number)


# BARS I1
def test_a_client_that_walks_through_namespace_0_leaves_few_nodes_behind(tmp_path: Path) -> None:
    nodes, _ = space_of(tmp_path)
    walk(nodes)

    assert len(nodes) + len(nodes._passing) <= KEPT


async def test_a_node_that_was_written_to_keeps_its_value(tmp_path: Path) -> None:
    nodes, space = space_of(tmp_path)
    written = ua.DataValue(ua.Variant(-7, ua.VariantType.Int32))
    assert (await space.write_attribute_value(ua.NodeId(5), ua.AttributeIds.Value, written)).is_good()
    walk(nodes)

    assert space.read_attribute_value(ua.NodeId(5), ua.AttributeIds.Value).Value == written.Value


def test_a_watched_node_stays_as_long_as_it_is_watched(tmp_path: Path) -> None:
    nodes, space = space_of(tmp_path)
    handles = [space.add_datachange_callback(ua.NodeId(5), ua.AttributeIds.Value, print)[1] for _ in range(2)]
    walk(nodes)
    callbacks = nodes[ua.NodeId(5)].attributes[ua.AttributeIds.Value].datachange_callbacks
    kept = len(callbacks), len(nodes)
    for handle in handles:
        space.delete_datachange_callback(handle)

    assert kept == (2, 1)
    assert len(nodes) == 0


async def test_a_written_node_stays_when_nobody_watches_it_any_more(tmp_path: Path) -> None:
    nodes, space = space_of(tmp_path)
    handle = space.add_datachange_callback(ua.NodeId(5), ua.AttributeIds.Value, lambda key, value: _done())[1]
    written = ua.DataValue(ua.Variant(-7, ua.VariantType.Int32))
    await space.write_attribute_value(ua.NodeId(5), ua.AttributeIds.Value, written)
    space.delete_datachange_callback(handle)

    assert len(nodes) == 1


async def _done() -> None:
    """The library awaits what a callback returns."""


# BARS I1: the library makes a logger for every number, and loggers are never freed
def test_subscriptions_leave_no_logger_behind() -> None:
    store = store_of(FACTS)
    image = Image(store, Model(FACTS.points, FACTS.devices, store.definition), lambda _: None)
    tools = SubscriptionTools(image, cast("Any", None), SystemClock(), {}, Limits(), 1000.0)

    def make(number: int) -> Subscription:
        data = ua.CreateSubscriptionResult(number, 100.0, 10, 10)
        return Subscription(data, cast("Any", None), cast("Any", None), ua.NodeId(), tools)

    make(1)
    before = len(logging.Logger.manager.loggerDict)
    made = [make(number) for number in range(2, 50)]

    assert len(logging.Logger.manager.loggerDict) == before
    assert [one.data.SubscriptionId for one in made] == list(range(2, 50))
