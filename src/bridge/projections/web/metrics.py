"""The bridge for Prometheus: labels are servers, channels, devices and counters, never points."""

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from bridge.projections.web.core import Core, own_version
from bridge.projections.web.rows import ChannelRow, DeviceState, ServerClients, ServerRow, StatusAnswer

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Counters of one server: the core takes no more
_COUNTERS_MOST = 48


async def metrics(core: Core) -> bytes:
    """Return the exposition text. Raises: OperationRefused."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(core, await core.status(), await core.clients()))
    return generate_latest(registry)


class _Snapshot(Collector):
    def __init__(self, core: Core, status: StatusAnswer, clients: Mapping[str, ServerClients]) -> None:
        self._core, self._status, self._clients = core, status, clients

    def collect(self) -> Iterable[Metric]:
        status = self._status
        yield InfoMetricFamily("meterbridge", "The running bridge.", {"version": own_version()})
        yield GaugeMetricFamily("meterbridge_ready", "1: every server answers.", float(status.ready))
        yield GaugeMetricFamily("meterbridge_polling", "1: the meters are being asked.", float(status.polling))
        yield from _servers(status.servers)
        yield from _clients(self._clients)
        yield from _channels(status.channels)
        yield from _devices(status.devices, self._core.clock.utc_ns())
        yield from self._points()
        active = GaugeMetricFamily("meterbridge_active_alarms", "Alarms that last, by priority.", labels=["priority"])
        for band, least, most in (("information", 0, 63), ("low", 64, 127), ("medium", 128, 191), ("high", 192, 255)):
            count = sum(a.active and least <= a.priority <= most for a in self._core.alarms.alarms())
            active.add_metric([band], count)
        yield active

    def _points(self) -> Iterator[Metric]:
        usable = GaugeMetricFamily("meterbridge_usable_points", "Points with a usable value.", labels=["device"])
        points = GaugeMetricFamily("meterbridge_points", "Points of the device.", labels=["device"])
        for device in self._core.by_device:
            good, all_ = self._core.usable_share(device)
            points.add_metric([device], all_)
            usable.add_metric([device], good)
        yield from (points, usable)


def _servers(servers: list[ServerRow]) -> Iterator[Metric]:
    answering = GaugeMetricFamily("meterbridge_server_answering", "1: it answers its own question.", labels=["server"])
    age = GaugeMetricFamily("meterbridge_server_probe_age_seconds", "Since its last answer.", labels=["server"])
    behind = GaugeMetricFamily("meterbridge_server_points_behind", "Samples it has not taken yet.", labels=["server"])
    starts = CounterMetricFamily("meterbridge_server_starts", "Processes started for it.", labels=["server"])
    counts = CounterMetricFamily("meterbridge_server_counts", "What it counts.", labels=["server", "counter"])
    for server in servers:
        answering.add_metric([server.name], float(server.answering))
        if server.probe_age_s is not None:
            age.add_metric([server.name], server.probe_age_s)
        behind.add_metric([server.name], server.points_behind)
        starts.add_metric([server.name], server.starts)
        for name, count in list(server.counters.items())[:_COUNTERS_MOST]:
            counts.add_metric([server.name, name], count)
    yield from (answering, age, behind, starts, counts)


def _clients(clients: Mapping[str, ServerClients]) -> Iterator[Metric]:
    """Addresses are no labels: strangers choose them."""
    count = GaugeMetricFamily("meterbridge_server_clients", "Addresses that have asked it.", labels=["server"])
    delay = GaugeMetricFamily(
        "meterbridge_server_delay_seconds", "From a meter's reply to this server, greatest lately.", labels=["server"]
    )
    for name, asked in clients.items():
        count.add_metric([name], len(asked.clients))
        if asked.delay_most_ms >= 0:
            delay.add_metric([name], asked.delay_most_ms / 1000)
    yield from (count, delay)


def _channels(channels: list[ChannelRow]) -> Iterator[Metric]:
    requests = CounterMetricFamily("meterbridge_channel_requests", "Requests sent.", labels=["channel"])
    replies = CounterMetricFamily("meterbridge_channel_replies", "Whole replies.", labels=["channel"])
    failures = CounterMetricFamily("meterbridge_channel_failures", "Requests in vain.", labels=["channel", "reason"])
    for channel in channels:
        requests.add_metric([channel.name], channel.requests)
        replies.add_metric([channel.name], channel.replies)
        failures.add_metric([channel.name, "timeout"], channel.timeouts)
        failures.add_metric([channel.name, "bad_frame"], channel.bad)
    yield from (requests, replies, failures)


def _devices(devices: list[DeviceState], now_ns: int) -> Iterator[Metric]:
    online = GaugeMetricFamily("meterbridge_device_online", "1: it answers.", labels=["device"])
    age = GaugeMetricFamily("meterbridge_device_reply_age_seconds", "Since its last good reply.", labels=["device"])
    response = GaugeMetricFamily("meterbridge_device_response_seconds", "Mean time to a reply.", labels=["device"])
    missed = CounterMetricFamily(
        "meterbridge_device_missed_polls", "Polls the line had no time for.", labels=["device"]
    )
    for device in devices:
        online.add_metric([device.name], float(device.state == "online"))
        if device.last_good_ns:
            age.add_metric([device.name], max(now_ns - device.last_good_ns, 0) / 1e9)
        response.add_metric([device.name], device.response_ms / 1000)
        missed.add_metric([device.name], device.missed)
    yield from (online, age, response, missed)
