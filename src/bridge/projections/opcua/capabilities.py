"""What the server says it can do (OPC 10000-5, 6.3.2; OPC 10000-11, 5.4.2), so that clients need not try."""

from asyncua import Server, ua

from bridge.projections.opcua import history

_ids, _kinds = ua.ObjectIds, ua.VariantType
_SAID = {
    _ids.HistoryServerCapabilities_AccessHistoryDataCapability: (True, _kinds.Boolean),
    _ids.HistoryServerCapabilities_AccessHistoryEventsCapability: (False, _kinds.Boolean),
    _ids.HistoryServerCapabilities_ServerTimestampSupported: (False, _kinds.Boolean),
    _ids.HistoryServerCapabilities_MaxReturnDataValues: (history.MOST_VALUES, _kinds.UInt32),
    _ids.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadData: (history.MOST_NODES, _kinds.UInt32),
}


async def say(server: Server) -> None:
    """Tell the address space; before the first client."""
    for number, (value, kind) in _SAID.items():
        await server.write_attribute_value(ua.NodeId(number), ua.DataValue(ua.Variant(value, kind)))
