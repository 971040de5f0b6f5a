"""
The OPC UA server under mutated messages: alive, unchanged, no leak, no flood of log lines.

METERBRIDGE_FUZZ_FRAMES sets how many (default 50,000; nightly 1,000,000).
"""

import asyncio
import contextlib
import os
import random
import struct
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from asyncua import ua

from tests.support.modbus_site import site, store_of
from tests.support.opcua_raw import HEAD, Closed, RawClient, browse_request, chunk, read_request
from tests.support.opcua_site import spec_of
from tests.support.workers import running, status

FRAMES = int(os.environ.get("METERBRIDGE_FUZZ_FRAMES", "50000"))
pytestmark = [
    pytest.mark.fuzz,
    pytest.mark.real_time,
    pytest.mark.slow,
    pytest.mark.timeout(120 + FRAMES // 100),
]
PORT = 26_080
FACTS = site(5)
SEED = 20_261_120
PER_PROBE = 200
# what an answer to half a message is waited for
PATIENCE_S = 0.01
# BARS I1
MOST_HANG_S, MOST_GROWTH, MOST_LOG = 3.0, 10 << 20, 1 << 20


def good_bodies(client: RawClient) -> list[bytes]:
    """Requests of every service a client uses, as this session would send them."""
    subscribe = ua.CreateMonitoredItemsRequest()
    subscribe.Parameters.SubscriptionId = 78
    subscribe.Parameters.ItemsToCreate = [
        ua.MonitoredItemCreateRequest(
            ItemToMonitor=ua.ReadValueId(NodeId=ua.NodeId("m1.voltage_l1", 2), AttributeId=13),
            RequestedParameters=ua.MonitoringParameters(SamplingInterval=100.0, QueueSize=5),
        )
    ]
    write = ua.WriteRequest()
    value = ua.DataValue(ua.Variant(1.0, ua.VariantType.Double))
    write.Parameters.NodesToWrite = [ua.WriteValue(ua.NodeId("m1.overload_threshold", 2), 13, None, value)]
    call = ua.CallRequest()
    method = ua.NodeId("m1.reset_demand_peak.Execute", 2)
    call.Parameters.MethodsToCall = [ua.CallMethodRequest(ua.NodeId("m1", 2), method, [])]
    translate = ua.TranslateBrowsePathsToNodeIdsRequest()
    step = ua.RelativePathElement(TargetName=ua.QualifiedName("m1", 2))
    translate.Parameters.BrowsePaths = [ua.BrowsePath(ua.NodeId("/Meters", 2), ua.RelativePath([step]))]
    requests: list[Any] = [
        read_request(["m1.voltage_l1", "m2.active_energy_import"], 2),
        read_request(["m1"], attribute=4),
        browse_request(["m1", "/Meters"]),
        ua.CreateSubscriptionRequest(),
        subscribe,
        write,
        call,
        translate,
        ua.GetEndpointsRequest(),
        history_request(),
        events_request(),
        condition_request(9111, b"\0" * 9),
        condition_request(3875, None),
        ua.RepublishRequest(),
    ]
    return [client.encoded(request) for request in requests]


def history_request() -> Any:
    history = ua.HistoryReadRequest()
    begin, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    details = ua.ReadRawModifiedDetails(False, begin, end, 10, True)
    nodes = [ua.HistoryReadValueId(NodeId=ua.NodeId("m1.voltage_l1", 2))]
    history.Parameters = ua.HistoryReadParameters(details, ua.TimestampsToReturn.Source, False, nodes)
    return history


def events_request() -> Any:
    events = ua.CreateMonitoredItemsRequest()
    events.Parameters.SubscriptionId = 78
    fields = [
        ua.SimpleAttributeOperand(ua.NodeId(2041), [ua.QualifiedName(name, 0)], 13) for name in ("EventId", "Severity")
    ]
    severe = ua.ContentFilterElement(
        ua.FilterOperator.GreaterThan, [fields[1], ua.LiteralOperand(ua.Variant(500, ua.VariantType.UInt16))]
    )
    wanted = ua.EventFilter(fields, ua.ContentFilter([severe]))
    events.Parameters.ItemsToCreate = [
        ua.MonitoredItemCreateRequest(
            ItemToMonitor=ua.ReadValueId(NodeId=ua.NodeId(2253), AttributeId=12),
            RequestedParameters=ua.MonitoringParameters(SamplingInterval=0.0, Filter=wanted, QueueSize=5),
        )
    ]
    return events


def condition_request(method: int, event: bytes | None) -> Any:
    call = ua.CallRequest()
    arguments = [ua.Variant(78, ua.VariantType.UInt32)]
    if event is not None:
        comment = ua.Variant(ua.LocalizedText("seen"), ua.VariantType.LocalizedText)
        arguments = [ua.Variant(event, ua.VariantType.ByteString), comment]
    place = ua.NodeId(2782) if event is None else ua.NodeId("m1/alarm", 2)
    call.Parameters.MethodsToCall = [ua.CallMethodRequest(place, ua.NodeId(method), arguments)]
    return call


def mutated(random_: random.Random, good: list[bytes]) -> bytes:
    frame = bytearray(random_.choice(good))
    for _ in range(random_.choice((0, 1, 1, 2, 4))):
        at = random_.randrange(len(frame))
        match random_.randrange(6):
            case 0:
                frame[at] ^= 1 << random_.randrange(8)
            case 1:
                frame[at] = random_.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 2:
                del frame[max(at, 1) :]
            case 3:
                frame[at:at] = random_.randbytes(random_.randrange(1, 300))
            case 4:
                # lengths and counts
                frame[at : at + 4] = struct.pack("<i", random_.choice((-1, 0, 1, 2**31 - 1, -(2**31), 70_000)))
            case _:
                frame += random_.choice(good)
    return bytes(frame)


def frames(random_: random.Random, client: Callable[[], RawClient]) -> Iterator[tuple[RawClient, bytes]]:
    """Whole chunks to send: most with a right head, so that what is inside is looked at."""
    while True:
        now = client()
        good = good_bodies(now)
        for _ in range(100):
            body = mutated(random_, good)
            now.sequence += 1
            head = struct.pack("<IIII", now.channel, now.token, now.sequence, now.sequence)
            whole = bytearray(chunk(b"MSGF", head + body))
            match random_.randrange(20):
                case 0:
                    whole[random_.randrange(HEAD)] ^= 1 << random_.randrange(8)
                case 1:
                    whole[:4] = random_.choice((b"MSGC", b"MSGA", b"OPNF", b"CLOF", b"HELF", b"ACKF", b"XXXF"))
                case _:
                    pass
            yield now, bytes(whole)
            if now.sock.fileno() < 0:
                break


def attack(count: int) -> tuple[set[bytes], float]:
    """Return the different answers to the probe, and the longest time one took."""
    random_, answers, longest = random.Random(SEED), set[bytes](), 0.0
    clients: list[RawClient] = []

    def fresh() -> RawClient:
        for old in clients:
            old.sock.close()
        clients[:] = [RawClient(PORT, MOST_HANG_S).session()]
        clients[0].sock.settimeout(PATIENCE_S)
        return clients[0]

    source = frames(random_, fresh)
    for number in range(count):
        client, data = next(source)
        try:
            client.sock.sendall(data)
            client.answer()
        except TimeoutError:
            pass
        except (Closed, OSError, struct.error, MemoryError):
            client.sock.close()
        if number % PER_PROBE == 0:
            begun = time.perf_counter()
            answers.add(probe())
            longest = max(longest, time.perf_counter() - begun)
    for client in clients:
        client.sock.close()
    return answers, longest


def probe() -> bytes:
    with RawClient(PORT, MOST_HANG_S) as client:
        client.session()
        return client.request(client.encoded(read_request(["m1.active_energy_import"], 0)))[28:]


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


# BARS I1, S1
async def test_mutated_messages_leave_the_server_well(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    store = store_of(FACTS)
    before = {p.index: store.get(p.index) for p in FACTS.points}
    settings: dict[str, Any] = {"listener": {"idle_s": 10.0}}
    async with running(store, [spec_of(FACTS, PORT, tmp_path, **settings)]) as supervisor:
        worker = psutil.Process(status(supervisor, "opcua").pid)
        # a first round fills what is kept: nodes, serializers, the heap
        await asyncio.to_thread(attack, min(2000, FRAMES // 5))
        await asyncio.sleep(11)
        rss, open_files = worker.memory_info().rss, descriptors(worker.pid)
        answers, longest_s = await asyncio.to_thread(attack, FRAMES)
        await asyncio.sleep(11)
        growth, left_open = worker.memory_info().rss - rss, descriptors(worker.pid)
        starts, counters = status(supervisor, "opcua").starts, status(supervisor, "opcua").counters
    said = capfd.readouterr()

    assert len(answers) == 1
    assert struct.pack("<q", 2**53 + 1) in next(iter(answers))
    assert starts == 1
    assert longest_s < MOST_HANG_S
    assert growth <= MOST_GROWTH
    assert left_open <= open_files + 1
    assert len(said.out) + len(said.err) <= MOST_LOG
    # the mutations reach past the head, and not only that far
    assert counters["requests"] > FRAMES // 3
    assert counters["bad_messages"] > 0
    assert counters["writes_refused"] > 0
    assert {p.index: store.get(p.index) for p in FACTS.points} == before
    with contextlib.suppress(KeyError):
        assert counters["loop_errors"] == 0
