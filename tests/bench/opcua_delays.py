"""
`python -m tests.bench.opcua_delays PORT ITEMS POINTS MS SECONDS`: P9, a client that waits for data changes.

Prints "ready", and after SECONDS the number of values that came and the 99th percentile, in ms, of the way from their
source time to their bytes in this process.
"""

import statistics
import struct
import sys
import time

from asyncua import ua

from bridge.projections.opcua.binary import EPOCH
from tests.support.opcua_raw import RawClient

# Publish requests the server always has in hand
WAITING = 10
# NodeId and time, handle, result and the rest of the ResponseHeader
RESPONSE_HEAD = 28
# client handle, mask, type, double, status, source time
ITEM = struct.Struct("<IBBdIq")
DATA_CHANGE_HEAD = 4 + 1 + 4


def subscribe(client: RawClient, items: int, points: int, interval_ms: float) -> None:
    create = ua.CreateSubscriptionRequest()
    create.Parameters.RequestedPublishingInterval, create.Parameters.RequestedMaxKeepAliveCount = interval_ms, 1000
    made = client.ask(create, ua.CreateSubscriptionResponse).Parameters
    request = ua.CreateMonitoredItemsRequest()
    request.Parameters.SubscriptionId = made.SubscriptionId
    request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Source
    request.Parameters.ItemsToCreate = [
        ua.MonitoredItemCreateRequest(
            ItemToMonitor=ua.ReadValueId(NodeId=ua.NodeId(f"m{i // points + 1}.p{i % points}", 2), AttributeId=13),
            MonitoringMode=ua.MonitoringMode.Reporting,
            RequestedParameters=ua.MonitoringParameters(ClientHandle=i, SamplingInterval=0.0, QueueSize=10),
        )
        for i in range(items)
    ]
    client.ask(request, ua.CreateMonitoredItemsResponse)


def delays_of(data: bytes, now_ns: int) -> list[float]:
    """Milliseconds, one per value of a Publish response that carries data changes and nothing else."""
    (result,) = struct.unpack_from("<I", data, 16)
    if result:
        raise ValueError(hex(result))
    at = RESPONSE_HEAD + 4
    at += 4 + 4 * int(struct.unpack_from("<i", data, at)[0]) + 1 + 12
    (notifications,) = struct.unpack_from("<i", data, at)
    if notifications <= 0:
        return []
    at += 4 + DATA_CHANGE_HEAD
    (count,) = struct.unpack_from("<i", data, at)
    now = now_ns // 100 + EPOCH
    return [(now - ITEM.unpack_from(data, at + 4 + ITEM.size * n)[5]) / 10_000 for n in range(count)]


def main(port: int, items: int, points: int, interval_ms: int, seconds: int) -> None:
    found: list[float] = []
    with RawClient(port, timeout_s=10) as client:
        client.session()
        subscribe(client, items, points, interval_ms)
        publish = client.encoded(ua.PublishRequest())
        for _ in range(WAITING):
            client.send(publish)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        end = time.monotonic() + seconds
        client.sock.settimeout(1.0)
        while time.monotonic() < end:
            try:
                data = client.receive()
            except TimeoutError:
                # nothing more will come
                break
            now_ns = time.time_ns()
            client.send(publish)
            found += delays_of(data, now_ns)
    # the first values of all items are as old as the store
    mine = [delay for delay in found if delay < 60_000]
    sys.stdout.write(f"{len(mine)} {statistics.quantiles(mine, n=100)[-1]:.2f}\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:6]))
