"""Nodes and references of the model as a Browse reply carries them (OPC 10000-4, 7.30; OPC 10000-6, 5.2)."""

from bridge.projections.opcua.binary import I4, localized_text, numeric_node_id, qualified_name, string_node_id
from bridge.projections.opcua.nodes import Head, Reference
from bridge.projections.opcua.plan import NAMESPACE_INDEX


def node_id(head: Head) -> bytes:
    if isinstance(head.identifier, str):
        return string_node_id(NAMESPACE_INDEX, head.identifier)
    return numeric_node_id(head.identifier)


def reference_description(reference: Reference) -> bytes:
    """ReferenceTypeId, IsForward, NodeId, BrowseName, DisplayName, NodeClass, TypeDefinition."""
    target = reference.target
    return b"".join(
        (
            numeric_node_id(reference.type),
            b"\1" if reference.forward else b"\0",
            node_id(target),
            qualified_name(target.namespace, target.name),
            localized_text(target.display),
            I4.pack(target.node_class),
            numeric_node_id(target.type_definition),
        )
    )
