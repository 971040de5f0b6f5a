"""Reference types as clients name them in a Browse request."""

import uuid

import pytest
from asyncua import ua
from asyncua.server.address_space import AddressSpace, ViewService
from asyncua.ua.ua_binary import nodeid_to_binary

from bridge.projections.opcua.subtypes import Subtypes


def asked(node_id: ua.NodeId, deep: bool = False) -> frozenset[int] | None:
    return Subtypes(ViewService(AddressSpace()))(bytes(nodeid_to_binary(node_id)), deep)


def test_a_number_of_namespace_0_is_itself() -> None:
    assert asked(ua.NodeId(35, 0)) == frozenset({35})


def test_no_type_is_every_type() -> None:
    assert asked(ua.NodeId()) is None


# BARS I1
@pytest.mark.parametrize(
    "node_id",
    [
        ua.NodeId("35", 0),
        ua.NodeId(b"CU\x85\xd3", 0, ua.NodeIdType.ByteString),
        ua.NodeId(uuid.UUID(int=35), 0),
        ua.NodeId(35, 2),
    ],
    ids=["text", "bytes", "guid", "namespace"],
)
def test_what_no_reference_type_is_called_is_none_of_them(node_id: ua.NodeId) -> None:
    assert asked(node_id) == frozenset()
