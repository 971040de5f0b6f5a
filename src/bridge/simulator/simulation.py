"""
A whole simulated site: every device of a SiteConfig on its channel, and the control port.

A serial channel becomes a pseudo-terminal, a TCP channel a port of 127.0.0.1; nothing outside this machine is touched.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bridge.config.model import FieldDevice, SiteConfig
from bridge.config.site import Channel, RtuChannel, RtuOverTcpChannel, TcpChannel
from bridge.core.clock import Clock
from bridge.field.alarm import Alarm, TimerFdAlarm
from bridge.simulator.control import ControlServer
from bridge.simulator.dialogue import Dialogue
from bridge.simulator.kept import restore, save
from bridge.simulator.meters import SimulatedMeter
from bridge.simulator.registers import Holes
from bridge.simulator.rtu import Pace, PtyLine, RtuEnd
from bridge.simulator.tcp import HOST, TcpListener

_log = logging.getLogger("bridge.simulator")
# s between two steps: every value changes only then
STEP_S = 0.5


class PtyEndpoint(msgspec.Struct, frozen=True, tag="pty", tag_field="kind"):
    """The bridge's end of a serial line. Set it to no parity: a pseudo-terminal refuses any other."""

    path: str


class TcpEndpoint(msgspec.Struct, frozen=True, tag="tcp", tag_field="kind"):
    """Where a TCP channel's devices answer."""

    host: str
    port: int


class Endpoints(msgspec.Struct, frozen=True):
    """Where to find what was started: channel -> endpoint, and the control port's URL."""

    channels: dict[str, PtyEndpoint | TcpEndpoint]
    control: str


@dataclass(frozen=True, slots=True)
class SimulationSettings:
    """
    `seed`: the same seed and time give the same values. `holes`: what reads over unmapped registers get. `state_file`:
    where the meters keep what they have counted, None = nowhere.
    """

    seed: int = 1
    step_s: float = STEP_S
    holes: Holes = Holes.FILLED
    state_file: Path | None = None


class Simulation:
    """Simulated meters of one site, in the running event loop."""

    def __init__(self, clock: Clock, settings: SimulationSettings | None = None) -> None:
        self._clock, self._settings = clock, settings or SimulationSettings()
        self.meters: Mapping[str, SimulatedMeter] = {}
        self._lines: list[PtyLine | TcpListener] = []
        self._control: ControlServer | None = None
        self._stepping: asyncio.Task[None] | None = None

    async def start(self, site: SiteConfig, control_port: int, paced: bool) -> Endpoints:
        """
        Start everything; every port answers when this returns. `paced`: serial lines keep their line's speed.

        Raises: OSError when a port or pseudo-terminal is not to be had; nothing is left open then.
        """
        # pymodbus writes a line per bad frame: 22 MB in 87k frames
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
        utc_ns = self._clock.utc_ns()
        self.meters = {
            device.definition.id: SimulatedMeter(
                device,
                self._settings.seed,
                utc_ns,
                self._settings.holes,
                _baud(site.channels[device.definition.channel]),
            )
            for device in site.field
            # one without is made of derived points only
            if device.definition.channel
        }
        if self._settings.state_file is not None:
            restore(self._settings.state_file, self.meters, utc_ns)
        try:
            channels = {
                name: await self._open(name, channel, site.field, paced)
                for name, channel in site.channels.items()
                if not channel.off
            }
            self._control = ControlServer(self.meters, control_port)
            await self._control.open()
        except BaseException:
            await self.stop()
            raise
        self._stepping = asyncio.get_running_loop().create_task(self._step_for_ever())
        return Endpoints(channels, self._control.url)

    async def broken(self) -> None:
        """Wait until the values can change no more, which only a mistake in a curve does. Raises: that mistake."""
        if self._stepping is not None:
            await asyncio.shield(self._stepping)

    async def stop(self) -> None:
        """Close everything; may be called again."""
        if self._stepping is not None:
            self._stepping.cancel()
            await asyncio.wait({self._stepping})
            self._stepping = None
            self._keep()
        if self._control is not None:
            await self._control.close()
            self._control = None
        for line in self._lines:
            await line.close()
        self._lines.clear()

    async def _open(
        self, name: str, channel: Channel, devices: tuple[FieldDevice, ...], paced: bool
    ) -> PtyEndpoint | TcpEndpoint:
        on_channel = {
            device.definition.unit_id: self.meters[device.definition.id]
            for device in devices
            if device.definition.channel == name
        }
        dialogue = Dialogue(on_channel, self._settings.seed)
        if isinstance(channel, RtuChannel):
            pace = Pace.of(channel.baud, channel.framing) if paced else None
            line = PtyLine(self._end_maker(dialogue, pace))
            self._lines.append(line)
            return PtyEndpoint(line.path)
        make_end = None
        if isinstance(channel, RtuOverTcpChannel):
            make_end = self._end_maker(dialogue, Pace.of(channel.baud, "8N1") if paced else None)
        listener = TcpListener(dialogue, make_end)
        self._lines.append(listener)
        await listener.open()
        return TcpEndpoint(HOST, listener.port)

    def _end_maker(self, dialogue: Dialogue, pace: Pace | None) -> Callable[[Callable[[bytes], None]], RtuEnd]:
        loop, clock = asyncio.get_running_loop(), self._clock

        def make_alarm(ring: Callable[[], None]) -> Alarm:
            return TimerFdAlarm(loop, ring)

        return lambda send: RtuEnd(dialogue, pace, clock, make_alarm, send)

    async def _step_for_ever(self) -> None:
        last_ns = self._clock.monotonic_ns()
        while True:
            await asyncio.sleep(self._settings.step_s)
            now_ns, utc_ns = self._clock.monotonic_ns(), self._clock.utc_ns()
            for meter in self.meters.values():
                meter.step(utc_ns, now_ns - last_ns)
            last_ns = now_ns
            # at every step: what a master has read must not be gone after a kill
            self._keep()

    def _keep(self) -> None:
        path = self._settings.state_file
        if path is None:
            return
        try:
            save(path, self.meters, self._clock.utc_ns())
        except OSError as exc:
            _log.warning("not_kept file=%s error=%s", path, exc)


def _baud(channel: Channel) -> int:
    return 9600 if isinstance(channel, TcpChannel) else channel.baud
