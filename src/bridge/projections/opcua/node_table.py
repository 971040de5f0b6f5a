"""The library's table of nodes, made lazily: what a stranger looks at is not kept for him."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from asyncua import ua
from asyncua.server.address_space import AddressSpace, NodeData

from bridge.projections.opcua.standard import StandardNodes

# Nodes kept as objects, of the standard and of ours each; a client that browses goes through them meter by meter.
KEPT = 512


class OwnTable(Protocol):
    """Nodes of namespaces of ours."""

    def get(self, node_id: ua.NodeId) -> NodeData | None: ...


class Nodes(dict[ua.NodeId, NodeData]):
    """
    What the library takes for a dict of all nodes. It holds those that differ from what they were made from: written
    to, or watched. All others are made when somebody asks, and few of them stay, whoever walks through all of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.standard: StandardNodes | None = None
        self.own: OwnTable | None = None
        # what the library sets up before the first client it may write to without a word
        self.settled = False
        self._passing: OrderedDict[ua.NodeId, NodeData] = OrderedDict()
        self._watched: set[ua.NodeId] = set()

    def __missing__(self, node_id: ua.NodeId) -> NodeData:
        if node_id.NamespaceIndex == 0:
            return self._standard(node_id)
        found = self.own.get(node_id) if self.own is not None else None
        if found is None:
            raise KeyError(node_id)
        return found

    def _standard(self, node_id: ua.NodeId) -> NodeData:
        node = self._passing.get(node_id)
        if node is not None:
            return node
        if self.standard is None or node_id.Identifier not in self.standard:
            raise KeyError(node_id)
        node = self.standard.load(node_id.Identifier)
        if not self.settled:
            self[node_id] = node
            return node
        self._passing[node.nodeid] = node
        if len(self._passing) > KEPT:
            self._passing.popitem(last=False)
        return node

    def keep(self, node_id: ua.NodeId) -> None:
        """Hold a node for good: it is about to be written to."""
        node = self.get(node_id)
        if node is not None:
            self[node.nodeid] = node
            self._watched.discard(node.nodeid)

    def watch(self, node_id: ua.NodeId) -> None:
        """Hold a node while callbacks are stored in it."""
        node = self.get(node_id)
        if node is not None and not super().__contains__(node.nodeid):
            self[node.nodeid] = node
            self._watched.add(node.nodeid)

    def unwatch(self, node_id: ua.NodeId) -> None:
        if node_id in self._watched and not any(a.datachange_callbacks for a in self[node_id].attributes.values()):
            self._watched.discard(node_id)
            del self[node_id]

    def get(self, node_id: ua.NodeId, default: NodeData | None = None) -> NodeData | None:
        try:
            return self[node_id]
        except KeyError:
            return default

    def __contains__(self, node_id: object) -> bool:
        return isinstance(node_id, ua.NodeId) and self.get(node_id) is not None


class Space(AddressSpace):
    """The library's address space on `Nodes`."""

    def __init__(self, nodes: Nodes) -> None:
        super().__init__()
        self._nodes = self._kept = nodes

    async def write_attribute_value(
        self, nodeid: ua.NodeId, attr: ua.AttributeIds, value: ua.DataValue
    ) -> ua.StatusCode:
        self._kept.keep(nodeid)
        return await super().write_attribute_value(nodeid, attr, value)

    def add_datachange_callback(
        self, nodeid: ua.NodeId, attr: ua.AttributeIds, callback: Callable[..., object]
    ) -> tuple[ua.StatusCode, int]:
        self._kept.watch(nodeid)
        added: tuple[ua.StatusCode, int] = super().add_datachange_callback(nodeid, attr, callback)
        if not added[0].is_good():
            self._kept.unwatch(nodeid)
        return added

    def delete_datachange_callback(self, handle: int) -> None:
        node_id, _ = self._handle_to_attribute_map.get(handle, (None, None))
        super().delete_datachange_callback(handle)
        if node_id is not None:
            self._kept.unwatch(node_id)
