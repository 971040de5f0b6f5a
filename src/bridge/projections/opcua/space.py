"""The address space of the library, made lazily: namespace 0 from its file, the meters' nodes from the model."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.address_space import (
    AttributeValue,
    MethodService,
    NodeData,
    NodeManagementService,
    ViewService,
)
from asyncua.server.internal_server import InternalServer
from asyncua.server.user_managers import UserManager
from asyncua.ua.ua_binary import struct_from_binary

from bridge.projections.opcua.binary import has_server_time
from bridge.projections.opcua.commands import Commands
from bridge.projections.opcua.conditions import Conditions
from bridge.projections.opcua.history import Histories
from bridge.projections.opcua.image import Image
from bridge.projections.opcua.model import ROOT, Model
from bridge.projections.opcua.node_table import KEPT, Nodes, Space
from bridge.projections.opcua.nodes import (
    HAS_NOTIFIER,
    NO_SLOT,
    OBJECTS_FOLDER,
    ORGANIZES,
    SERVER,
    SUBSCRIBE_TO_EVENTS,
    Argument,
    EnumValues,
    Head,
    Localized,
    LocalizedList,
    Node,
    NodeClass,
    Range,
    Reference,
    Static,
    StringList,
    access_of,
)
from bridge.projections.opcua.plan import NAMESPACE_INDEX
from bridge.projections.opcua.session import Session
from bridge.projections.opcua.standard import provide
from bridge.projections.opcua.units import EngineeringUnits

_ids, _kinds = ua.AttributeIds, ua.VariantType


class OwnNodes:
    """Nodes of the model as the library wants them."""

    def __init__(self, model: Model, image: Image, server_time: Callable[[], bytes]) -> None:
        self._model, self._image, self._server_time = model, image, server_time
        self._kept: OrderedDict[str, NodeData] = OrderedDict()

    def __contains__(self, node_id: ua.NodeId) -> bool:
        return self.get(node_id) is not None

    def get(self, node_id: ua.NodeId) -> NodeData | None:
        identifier = node_id.Identifier
        if node_id.NamespaceIndex != NAMESPACE_INDEX or not isinstance(identifier, str):
            return None
        kept = self._kept.get(identifier)
        if kept is None:
            node = self._model.node(identifier)
            if node is None:
                return None
            kept = self._kept[identifier] = self._made(identifier, node)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return kept

    def data_value(self, slot: int) -> ua.DataValue:
        """Return a sample the library's own way, with both times."""
        both = 2
        assert has_server_time(both)
        return struct_from_binary(ua.DataValue, Buffer(self._image.encoded(slot, both) + self._server_time()))

    def root_reference(self, kind: int) -> ua.ReferenceDescription:
        """Return what hangs the meters under Objects, or their events under the server."""
        root = self._model.node(ROOT)
        assert root is not None
        return _reference(Reference(kind, True, root.head))

    def _made(self, identifier: str, node: Node) -> NodeData:
        head, made = node.head, NodeData(_node_id(node.head))
        attributes = {
            _ids.NodeId: _fixed(_node_id(head), _kinds.NodeId),
            _ids.NodeClass: _fixed(ua.NodeClass(head.node_class), _kinds.Int32),
            _ids.BrowseName: _fixed(ua.QualifiedName(head.name, head.namespace), _kinds.QualifiedName),
            _ids.DisplayName: _fixed(ua.LocalizedText(head.display), _kinds.LocalizedText),
            _ids.Description: _fixed(ua.LocalizedText(node.description or None), _kinds.LocalizedText),
            _ids.WriteMask: _fixed(0, _kinds.UInt32),
            _ids.UserWriteMask: _fixed(0, _kinds.UInt32),
        }
        if head.node_class is NodeClass.OBJECT:
            # what is below it tells of alarms
            attributes[_ids.EventNotifier] = _fixed(SUBSCRIBE_TO_EVENTS, _kinds.Byte)
        elif head.node_class is NodeClass.METHOD:
            attributes[_ids.Executable] = _fixed(node.writable, _kinds.Boolean)
            attributes[_ids.UserExecutable] = _fixed(node.writable, _kinds.Boolean)
        else:
            access = access_of(node)
            attributes[_ids.Value] = self._value(node)
            attributes[_ids.DataType] = _fixed(ua.NodeId(node.data_type), _kinds.NodeId)
            attributes[_ids.ValueRank] = _fixed(node.value_rank, _kinds.Int32)
            attributes[_ids.AccessLevel] = _fixed(access, _kinds.Byte)
            attributes[_ids.UserAccessLevel] = _fixed(access, _kinds.Byte)
            attributes[_ids.Historizing] = _fixed(node.historizing, _kinds.Boolean)
            attributes[_ids.MinimumSamplingInterval] = _fixed(0.0, _kinds.Double)
        made.attributes = attributes
        made.references = [_reference(reference) for reference in self._model.references(identifier) or ()]
        return made

    def _value(self, node: Node) -> AttributeValue:
        if node.slot == NO_SLOT:
            assert node.value is not None
            return AttributeValue(ua.DataValue(static_variant(node.value)))
        live, slot = AttributeValue(ua.DataValue()), node.slot
        live.value_callback = lambda node_id, attribute: self.data_value(slot)
        return live


class LazyServer(InternalServer):
    """`folder`: where the file of namespace 0 is, or will be."""

    def __init__(self, folder: Path, user_manager: UserManager) -> None:
        super().__init__(user_manager=user_manager)
        self._folder = folder
        self.nodes = Nodes()
        # before the first client
        self.commands: Commands | None = None
        self.histories: Histories | None = None
        self.conditions: Conditions | None = None
        space = Space(self.nodes)
        self.aspace = self.isession.aspace = space
        self.view_service, self.method_service = ViewService(space), MethodService(space)
        self.node_mgt_service = NodeManagementService(space)

    async def load_standard_address_space(self, shelf_file: Path | None = None) -> None:
        """Raises: OSError, TimeoutError."""
        del shelf_file
        self.nodes.standard = await provide(self._folder)

    async def _address_space_fixes(self) -> None:
        """In the file already."""

    def create_session(
        self,
        name: str,
        user: User = User(role=UserRole.Anonymous),  # noqa: B008 - the library's signature
        external: bool = False,
    ) -> Session:
        made = Session(self, self.aspace, self.subscription_service, name, user=user, external=external)
        assert self.commands is not None
        assert self.histories is not None
        assert self.conditions is not None
        made.commands, made.histories, made.conditions = self.commands, self.histories, self.conditions
        return made

    async def make_room(self) -> bool:
        """Close the oldest session that no channel has; return whether there was one."""
        left = next((one for one in self._external_sessions.values() if one.channel is None), None)
        if left is None:
            return False
        await left.close_session(True)
        return True

    def show(self, own: OwnNodes) -> None:
        """Hang the meters under Objects, and what happens to them under the server."""
        self.nodes.own = own
        for place, kind in ((OBJECTS_FOLDER, ORGANIZES), (SERVER, HAS_NOTIFIER)):
            self.nodes[ua.NodeId(place)].references.append(own.root_reference(kind))


def static_variant(value: Static) -> ua.Variant:
    """Return the value of a property."""
    match value:
        case bool():
            return ua.Variant(value, _kinds.Boolean)
        case int():
            return ua.Variant(value, _kinds.Int32)
        case str():
            return ua.Variant(value, _kinds.String)
        case Localized():
            return ua.Variant(ua.LocalizedText(value.text), _kinds.LocalizedText)
        case LocalizedList():
            return ua.Variant([ua.LocalizedText(text) for text in value.texts], _kinds.LocalizedText)
        case StringList():
            return ua.Variant(list(value.texts), _kinds.String)
        case Range():
            return ua.Variant(ua.Range(value.low, value.high), _kinds.ExtensionObject)
        case EngineeringUnits():
            names = ua.LocalizedText(value.symbol), ua.LocalizedText(value.description)
            return ua.Variant(ua.EUInformation(value.namespace, value.unit_id, *names), _kinds.ExtensionObject)
        case EnumValues():
            values = [ua.EnumValueType(code, ua.LocalizedText(text)) for code, text in value.states]
            return ua.Variant(values, _kinds.ExtensionObject)
        case Argument():
            described = ua.LocalizedText(value.description or None)
            argument = ua.Argument(value.name, ua.NodeId(value.data_type), -1, [], described)
            return ua.Variant([argument], _kinds.ExtensionObject)


def _node_id(head: Head) -> ua.NodeId:
    return ua.NodeId(head.identifier, NAMESPACE_INDEX if isinstance(head.identifier, str) else 0)


def _reference(reference: Reference) -> ua.ReferenceDescription:
    head = reference.target
    return ua.ReferenceDescription(
        ua.NodeId(reference.type),
        reference.forward,
        _node_id(head),
        ua.QualifiedName(head.name, head.namespace),
        ua.LocalizedText(head.display or None),
        ua.NodeClass(head.node_class),
        ua.NodeId(head.type_definition),
    )


def _fixed(value: object, kind: ua.VariantType) -> AttributeValue:
    return AttributeValue(ua.DataValue(ua.Variant(value, kind)))
