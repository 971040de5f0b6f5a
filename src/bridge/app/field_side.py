"""The channels of the site and who polls them; a reload changes only what changed."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bridge.config.model import FieldDevice, SiteConfig
from bridge.config.site import Channel
from bridge.core.clock import Clock
from bridge.core.command import Command, CommandResult, Outcome
from bridge.core.ports import PointWriter
from bridge.field.channel import FieldChannel, open_channel
from bridge.field.modbus.notice import Report
from bridge.field.modbus.poller import ChannelPoller
from bridge.field.modbus.readings import Trail
from bridge.field.modbus.statistics import DeviceSnapshot
from bridge.field.modbus.writer import Writer
from bridge.field.observe import LineCounters

# s; of a device nobody has said anything about
DEFAULT_TIMEOUT_S = 1.0
# s; for the other devices of a line to be read after a broadcast
_REFRESH_S = 3.0


class _LineWriter:
    """Writes the points of one device; after a broadcast has the others that heard it read again as well."""

    def __init__(
        self, writer: Writer, device: FieldDevice, others: Sequence[FieldDevice], poller: ChannelPoller
    ) -> None:
        self._writer, self._poller = writer, poller
        broadcast = {p.definition.index: p.write.register for p in device.points if p.write and p.write.broadcast}
        # index of a point written by broadcast -> the device and point of everybody else with such a register
        self._heard = {
            index: [
                (other.definition.id, point.definition.index)
                for other in others
                for point in other.points
                if point.write is not None and point.write.register == register
            ]
            for index, register in broadcast.items()
        }

    async def write(self, command: Command) -> CommandResult:
        """See `Writer.write`."""
        result = await self._writer.write(command)
        heard = self._heard.get(command.index, ())
        if heard and result.outcome in (Outcome.DONE, Outcome.TIMED_OUT):
            try:
                async with asyncio.timeout(_REFRESH_S):
                    await asyncio.gather(*(self._poller.device(name).refresh([index]) for name, index in heard))
            except TimeoutError:
                # the next poll shows it
                return result
        return result


@dataclass(frozen=True, slots=True)
class _Running:
    config: Channel
    devices: tuple[FieldDevice, ...]
    poller: ChannelPoller
    task: asyncio.Task[None]
    writers: Mapping[str, _LineWriter]


class FieldSide:
    """Loop thread only. `channels` is live: others keep a reference to it."""

    def __init__(self, sink: PointWriter, clock: Clock, report: Report, group: asyncio.TaskGroup, trail: Trail) -> None:
        self._trail = trail
        self._sink, self._clock, self._report, self._group = sink, clock, report, group
        self.channels: dict[str, FieldChannel] = {}
        self._running: dict[str, _Running] = {}

    async def apply(self, config: SiteConfig, swap: Callable[[], None]) -> None:
        """
        Take over `config`: channels that mean the same go on polling, with their connections and statistics.

        `swap` exchanges the point table when the old pollers have ended and before the new ones start.
        """
        wanted = {
            name: (channel, tuple(d for d in config.field if d.definition.channel == name))
            for name, channel in config.channels.items()
        }
        for name, running in list(self._running.items()):
            if wanted.get(name) != (running.config, running.devices):
                await self._end(name)
        swap()
        for name, (channel, devices) in wanted.items():
            if name not in self._running:
                self._start(name, channel, devices)

    async def stop(self) -> None:
        for name in list(self._running):
            await self._end(name)

    def channel_facts(self) -> list[tuple[str, str, LineCounters]]:
        """Return name, kind and counters of every channel."""
        kinds = {name: type(running.config).__struct_config__.tag for name, running in self._running.items()}
        return [(name, str(kinds[name]), channel.counters) for name, channel in self.channels.items()]

    def snapshots(self) -> dict[str, DeviceSnapshot]:
        """Return the statistics of every device."""
        return {name: snapshot for r in self._running.values() for name, snapshot in r.poller.snapshots().items()}

    def refresh(self, device: str, indexes: list[int]) -> None:
        """Have points of a device read soon, whatever their poll class."""
        poller = self.poller_of(device)
        if poller is not None:
            self._group.create_task(_refresh(poller, device, indexes), name=f"refresh {device}")

    def requests(self) -> int:
        """Return how many requests all devices have been sent."""
        return sum(channel.counters.requests + channel.counters.opened for channel in self.channels.values())

    def timeout_s(self, channel: str, unit_id: int) -> float:
        """Return how long a device of a channel may take to answer; for one that is not polled, the channel's own."""
        running = self._running.get(channel)
        if running is None:
            return DEFAULT_TIMEOUT_S
        for device in running.devices:
            if device.definition.unit_id == unit_id:
                return device.limits.timeout_s
        return running.config.timeout_s or DEFAULT_TIMEOUT_S

    def overheard(self, channel: str, unit_id: int, request: bytes, reply: bytes) -> None:
        """Take what a device has just answered to a client of the gateway."""
        running = self._running.get(channel)
        if running is not None:
            running.poller.overheard(unit_id, request, reply)

    def poller_of(self, device: str) -> ChannelPoller | None:
        """Return who polls `device`."""
        for running in self._running.values():
            if any(d.definition.id == device for d in running.devices):
                return running.poller
        return None

    def writer_of(self, device: str) -> _LineWriter | None:
        """Return who writes to `device`, None for a device that is gone."""
        return next((r.writers[device] for r in self._running.values() if device in r.writers), None)

    def _start(self, name: str, config: Channel, devices: tuple[FieldDevice, ...]) -> None:
        delays_s = {d.definition.unit_id: d.limits.request_delay_s for d in devices}
        channel = open_channel(name, config, self._clock, asyncio.get_running_loop(), delays_s)
        poller = ChannelPoller(config, devices, channel, self._sink, self._clock, self._report, self._trail)
        self.channels[name] = channel
        task = self._group.create_task(poller.run(), name=f"poll {name}")
        writers = {
            d.definition.id: _LineWriter(
                Writer(d, channel, self._clock, poller.device(d.definition.id).refresh),
                d,
                [other for other in devices if other is not d],
                poller,
            )
            for d in devices
        }
        self._running[name] = _Running(config, devices, poller, task, writers)

    async def _end(self, name: str) -> None:
        running = self._running.pop(name)
        channel = self.channels.pop(name)
        running.task.cancel()
        await asyncio.wait([running.task])
        channel.close()


async def _refresh(poller: ChannelPoller, device: str, indexes: list[int]) -> None:
    await poller.device(device).refresh(indexes)
