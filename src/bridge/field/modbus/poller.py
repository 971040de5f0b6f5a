"""Polls all devices of one channel: each at its own pace, the line itself sees to it that they take turns."""

import asyncio
from collections.abc import Mapping, Sequence

from bridge.config.model import FieldDevice
from bridge.config.site import Channel, TcpChannel
from bridge.core.clock import Clock
from bridge.core.ports import PointWriter
from bridge.field.modbus.ask import Asker
from bridge.field.modbus.device_poller import ChannelShare, DevicePoller
from bridge.field.modbus.notice import Report
from bridge.field.modbus.planner import ReadCost
from bridge.field.modbus.readings import Trail
from bridge.field.modbus.statistics import DeviceSnapshot
from bridge.modbus.timing import LineTiming

# bit/s; a network carries a block in no time beside the device's own turn-around
_NETWORK_BAUD = 10_000_000
_NETWORK_BITS = 10


def timing_of(channel: Channel) -> LineTiming:
    """Return the times of a channel's line; of a network link: what makes only the number of reads count."""
    if isinstance(channel, TcpChannel):
        return LineTiming(_NETWORK_BAUD, _NETWORK_BITS)
    framing = getattr(channel, "framing", "8N1")
    # start bit, data bits, parity bit, stop bits
    bits = 1 + int(framing[0]) + (framing[1] != "N") + int(framing[2])
    return LineTiming(channel.baud, bits)


class ChannelPoller:
    """
    Loop thread only. `noise`, `silent devices` and the spread in time are shared by the devices of the channel;
    `asker` sees to fairness, by the user name, which is the device's id.
    """

    def __init__(
        self,
        channel: Channel,
        devices: Sequence[FieldDevice],
        asker: Asker,
        sink: PointWriter,
        clock: Clock,
        report: Report,
        trail: Trail = lambda utc_ns, registers: None,
    ) -> None:
        self.share = ChannelShare()
        timing = timing_of(channel)
        self._by_unit = {device.definition.unit_id: device.definition.id for device in devices}
        self._pollers = {
            device.definition.id: DevicePoller(
                device,
                asker,
                sink,
                clock,
                report,
                ReadCost(timing, device.limits.turnaround_s),
                self.share,
                place,
                len(devices),
                trail,
            )
            for place, device in enumerate(devices)
        }

    async def run(self) -> None:
        """Poll until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, poller in self._pollers.items():
                group.create_task(poller.run(), name=f"poll {name}")

    def device(self, device: str) -> DevicePoller:
        """Return the poller of one device, to refresh points of it. Raises: KeyError."""
        return self._pollers[device]

    def overheard(self, unit_id: int, request: bytes, reply: bytes) -> None:
        """Take what a device of the channel has just answered to a client of the gateway."""
        device = self._by_unit.get(unit_id)
        if device is not None:
            self._pollers[device].overheard(request, reply)

    def snapshots(self) -> Mapping[str, DeviceSnapshot]:
        """Return the statistics of every device by its id."""
        return {name: poller.snapshot() for name, poller in self._pollers.items()}
