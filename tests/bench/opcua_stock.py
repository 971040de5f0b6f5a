"""`python -m tests.bench.opcua_stock PORT METERS POINTS`: the library as it comes, a variable per point."""

import asyncio
import logging
import sys

from asyncua import Server, ua


def item(kind: ua.NodeClass, node_id: ua.NodeId, parent: ua.NodeId, name: str, attributes: object) -> ua.AddNodesItem:
    made = ua.AddNodesItem()
    made.RequestedNewNodeId, made.ParentNodeId, made.NodeClass = node_id, parent, kind
    made.BrowseName, made.NodeAttributes = ua.QualifiedName(name, 2), attributes
    below = ua.ObjectIds.Organizes if kind is ua.NodeClass.Object else ua.ObjectIds.HasComponent
    made.ReferenceTypeId = ua.NodeId(below)
    made.TypeDefinition = ua.NodeId(58 if kind is ua.NodeClass.Object else 63)
    return made


def variable(name: str) -> ua.VariableAttributes:
    made = ua.VariableAttributes()
    made.DisplayName, made.DataType = ua.LocalizedText(name), ua.NodeId(ua.ObjectIds.Double)
    made.Value, made.ValueRank = ua.Variant(0.0, ua.VariantType.Double), -1
    made.AccessLevel = made.UserAccessLevel = 1
    return made


async def main(port: int, meters: int, points: int) -> None:
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    await server.register_namespace("urn:stock")
    nodes, items = [], []
    for meter in range(1, meters + 1):
        parent = ua.NodeId(f"m{meter}", 2)
        attributes = ua.ObjectAttributes()
        attributes.DisplayName, attributes.EventNotifier = ua.LocalizedText(f"m{meter}"), 0
        items.append(item(ua.NodeClass.Object, parent, ua.NodeId(85), f"m{meter}", attributes))
        for point in range(points):
            node_id = ua.NodeId(f"m{meter}.p{point}", 2)
            items.append(item(ua.NodeClass.Variable, node_id, parent, f"p{point}", variable(f"p{point}")))
            nodes.append(node_id)
    await server.iserver.isession.add_nodes(items)
    loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with server:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        value = 0.0
        # a line "N": write the first N variables once
        while line := await reader.readline():
            value += 1.0
            for node_id in nodes[: int(line)]:
                data = ua.DataValue(ua.Variant(value, ua.VariantType.Double))
                await server.write_attribute_value(node_id, data)


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:4])))
