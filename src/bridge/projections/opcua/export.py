"""
The NodeSet2 file of the server (OPC 10000-6, annex F), made from the plan: what a client can be engineered with before
the server stands. Values of points are not in it; properties are.
"""

from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from bridge.core.point import PointDef
from bridge.core.ports import SiteFacts
from bridge.projections.opcua.model import Model
from bridge.projections.opcua.nodes import (
    HAS_TYPE_DEFINITION,
    SUBSCRIBE_TO_EVENTS,
    Argument,
    EnumValues,
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
from bridge.projections.opcua.plan import NAMESPACE, Plan
from bridge.projections.opcua.units import EngineeringUnits

FILE_NAME = "meterbridge.NodeSet2.xml"
_TYPES = "http://opcfoundation.org/UA/2008/02/Types.xsd"
# In the file our namespace is the first after that of OPC UA itself.
_OURS = 1
# Of the shape of the model; it does not move with the site.
_VERSION = 'Version="1.0.0" PublicationDate="2026-11-20T00:00:00Z"'
# The oldest base that has every type used here (AnalogUnitType came with 1.04).
_BASE_VERSION = 'Version="1.04" PublicationDate="2018-05-15T00:00:00Z"'
_ELEMENTS = {NodeClass.OBJECT: "UAObject", NodeClass.VARIABLE: "UAVariable", NodeClass.METHOD: "UAMethod"}
# XML encodings of structures (OPC 10000-6, annex A). Line feeds stand where importers take an element without text for
# an empty one.
_RANGE_XML, _EU_XML, _ENUM_XML, _ARGUMENT_XML = 885, 888, 7616, 297


def model_of(plan: Plan, site: SiteFacts) -> Model:
    """Return the nodes as the worker makes them."""
    known: dict[int, PointDef] = {definition.index: definition for definition in site.points}
    shown = [known[index] for index in plan.points]
    return Model(shown, site.devices, known.__getitem__, plan.writable, plan.ranges)


def node_set(plan: Plan, site: SiteFacts) -> str:
    """Return the whole file."""
    model = model_of(plan, site)
    parts = [
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<UANodeSet xmlns="http://opcfoundation.org/UA/2011/03/UANodeSet.xsd" xmlns:uax="{_TYPES}">\n'
        f"  <NamespaceUris><Uri>{escape(NAMESPACE)}</Uri></NamespaceUris>\n"
        f"  <Models><Model ModelUri={quoteattr(NAMESPACE)} {_VERSION}>"
        f'<RequiredModel ModelUri="http://opcfoundation.org/UA/" {_BASE_VERSION}/></Model></Models>\n'
    ]
    for identifier in model.identifiers():
        node, references = model.node(identifier), model.references(identifier)
        assert node is not None
        assert references is not None
        parts.append(_element(node, references))
    parts.append("</UANodeSet>\n")
    return "".join(parts)


def _element(node: Node, references: list[Reference]) -> str:
    head, name = node.head, _ELEMENTS[node.head.node_class]
    attributes = f"NodeId={quoteattr(_id(head.identifier))} BrowseName={quoteattr(_browse_name(node))}"
    parent = next(reference.target for reference in references if not reference.forward)
    attributes += f" ParentNodeId={quoteattr(_id(parent.identifier))}"
    if head.node_class is NodeClass.VARIABLE:
        attributes += f' DataType="i={node.data_type}" ValueRank="{node.value_rank}" AccessLevel="{access_of(node)}"'
        attributes += ' Historizing="true"' if node.historizing else ""
    if head.node_class is NodeClass.METHOD and not node.writable:
        attributes += ' Executable="false" UserExecutable="false"'
    if head.node_class is NodeClass.OBJECT:
        attributes += f' EventNotifier="{SUBSCRIBE_TO_EVENTS}"'
    body = f"    <DisplayName>{escape(head.display)}</DisplayName>\n"
    if node.description:
        body += f"    <Description>{escape(node.description)}</Description>\n"
    lines = "".join(_reference(reference) for reference in references if _own_side(reference))
    body += f"    <References>\n{lines}    </References>\n"
    if node.value is not None:
        body += f"    <Value>{_value(node.value)}</Value>\n"
    return f"  <{name} {attributes}>\n{body}  </{name}>\n"


def _own_side(reference: Reference) -> bool:
    """A reference is written once, at the child: its type, and the way up."""
    return not reference.forward or reference.type == HAS_TYPE_DEFINITION


def _reference(reference: Reference) -> str:
    forward = "" if reference.forward else ' IsForward="false"'
    target = escape(_id(reference.target.identifier))
    return f'      <Reference ReferenceType="i={reference.type}"{forward}>{target}</Reference>\n'


def _id(identifier: str | int) -> str:
    return f"ns={_OURS};s={identifier}" if isinstance(identifier, str) else f"i={identifier}"


def _browse_name(node: Node) -> str:
    return f"{_OURS}:{node.head.name}" if node.head.namespace else node.head.name


def _value(value: Static) -> str:
    match value:
        case bool():
            return f"<uax:Boolean>{'true' if value else 'false'}</uax:Boolean>"
        case int():
            return f"<uax:Int32>{value}</uax:Int32>"
        case str():
            return f"<uax:String>{escape(value)}</uax:String>"
        case Localized():
            return _localized("LocalizedText", value.text)
        case LocalizedList():
            texts = "".join(_localized("LocalizedText", text) for text in value.texts)
            return f"<uax:ListOfLocalizedText>\n{texts}</uax:ListOfLocalizedText>"
        case StringList():
            texts = "".join(f"<uax:String>{escape(text)}</uax:String>" for text in value.texts)
            return f"<uax:ListOfString>\n{texts}</uax:ListOfString>"
        case Range():
            return _structure(
                _RANGE_XML, "Range", f"<uax:Low>{value.low!r}</uax:Low><uax:High>{value.high!r}</uax:High>"
            )
        case EngineeringUnits():
            body = f"<uax:NamespaceUri>{escape(value.namespace)}</uax:NamespaceUri>"
            body += f"<uax:UnitId>{value.unit_id}</uax:UnitId>"
            body += _localized("DisplayName", value.symbol) + _localized("Description", value.description)
            return _structure(_EU_XML, "EUInformation", body)
        case EnumValues():
            items = "".join(
                _structure(
                    _ENUM_XML,
                    "EnumValueType",
                    f"<uax:Value>{code}</uax:Value>{_localized('DisplayName', text)}{_localized('Description', '')}",
                )
                for code, text in value.states
            )
            return f"<uax:ListOfExtensionObject>\n{items}</uax:ListOfExtensionObject>"
        case Argument():
            body = (
                f"<uax:Name>{escape(value.name)}</uax:Name>"
                f"<uax:DataType><uax:Identifier>i={value.data_type}</uax:Identifier></uax:DataType>"
                f"<uax:ValueRank>-1</uax:ValueRank><uax:ArrayDimensions/>{_localized('Description', value.description)}"
            )
            argument = _structure(_ARGUMENT_XML, "Argument", body)
            return f"<uax:ListOfExtensionObject>\n{argument}</uax:ListOfExtensionObject>"


def _structure(encoding: int, name: str, body: str) -> str:
    return (
        f"<uax:ExtensionObject>\n<uax:TypeId><uax:Identifier>i={encoding}</uax:Identifier></uax:TypeId>"
        f"<uax:Body><uax:{name}>{body}</uax:{name}></uax:Body></uax:ExtensionObject>"
    )


def _localized(name: str, text: str) -> str:
    return f"<uax:{name}>\n<uax:Text>{escape(text)}</uax:Text></uax:{name}>"


def _export_node_set(plan: Plan, site: SiteFacts) -> Iterable[tuple[str, str]]:
    yield FILE_NAME, node_set(plan, site)


# name of `meterbridge export` -> generator of (file name, text)
EXPORTS = {"nodeset": _export_node_set}
