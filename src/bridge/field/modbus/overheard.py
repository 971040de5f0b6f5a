"""
What clients of the gateway read from a device -> samples of its points: the poller sees it too, for nothing.

The rule one must not break: what is believed of a poll's own reply is believed here, and no more.
"""

from collections.abc import Mapping

from bridge.config.meter import Table
from bridge.config.model import FieldDevice
from bridge.core.clock import Clock
from bridge.core.ports import PointWriter
from bridge.field.modbus.ask import Verdict, judge
from bridge.field.modbus.noise import NoiseMeter
from bridge.field.modbus.readings import Readings, Trail
from bridge.field.modbus.schedule import DevicePlan, ReadBlock

# ns; the same read is not taken again before: a client that asks all the time must not cost a decoding each time
_AGAIN_NS = 200_000_000
# different reads that are remembered; with more all are forgotten
_REMEMBERED = 64
_TABLES: Mapping[int, Table] = {table.value: table for table in Table}


class Overheard:
    """One device; loop thread only."""

    def __init__(
        self,
        device: FieldDevice,
        plan: DevicePlan,
        readings: Readings,
        noise: NoiseMeter,
        sink: PointWriter,
        clock: Clock,
        trail: Trail,
    ) -> None:
        self._points, self._plan, self._readings = device.points, plan, readings
        self._noise, self._sink, self._clock, self._trail = noise, sink, clock, trail
        # request -> what it covers, and from when it is worth a look again
        self._known: dict[bytes, tuple[ReadBlock, int]] = {}

    def take(self, request: bytes, reply: bytes) -> None:
        """Publish the points that stand whole in the reply to a read of functions 1 to 4; ignore all else."""
        now_ns = self._clock.monotonic_ns()
        known = self._known.get(request)
        if known is None:
            table = _TABLES.get(request[0])
            if table is None or len(request) != 5:
                return
            if len(self._known) >= _REMEMBERED:
                self.forget()
            block = self._block(table, int.from_bytes(request[1:3], "big"), int.from_bytes(request[3:5], "big"))
        else:
            block, again_ns = known
            if now_ns < again_ns:
                return
        self._known[request] = block, now_ns + _AGAIN_NS
        if block.points and judge(request[0], reply, block.data_bytes) is Verdict.GOOD:
            data, utc_ns = reply[2:], self._clock.utc_ns()
            batch, _ = self._readings.take(block, data, utc_ns, self._noise.noisy)
            if batch:
                energies = self._readings.registers(block, data)
                if energies:
                    self._trail(utc_ns, energies)
                self._sink.publish(batch)

    def forget(self) -> None:
        """Forget what reads cover: the plan has changed."""
        self._known.clear()
        self._readings.forget_blocks()

    def _block(self, table: Table, address: int, count: int) -> ReadBlock:
        inside = []
        for position, point in enumerate(self._points):
            if point.read is None or point.read.table is not table or position in self._plan.refused:
                continue
            first, length = self._plan.span(position)
            if address <= first and first + length <= address + count:
                inside.append((point.read.address, position))
        return ReadBlock(table, address, count, tuple(position for _, position in sorted(inside)))
