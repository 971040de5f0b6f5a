"""A configured channel of any kind as one object: what the poller, the writer and the gateway ask devices through."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial

from bridge.config.site import Channel, RtuChannel, RtuOverTcpChannel, TcpChannel
from bridge.core.clock import Clock
from bridge.core.errors import RequestRefused
from bridge.field.alarm import Alarm, TimerFdAlarm
from bridge.field.arbiter import LineArbiter, Others, Use
from bridge.field.dial import dial, endpoint
from bridge.field.line import Line, Master, Pacer
from bridge.field.modbus.master import BROADCAST, RtuMaster
from bridge.field.modbus.master_settings import Echo, MasterSettings, Nap
from bridge.field.modbus.rtu_over_tcp import RtuOverTcpMaster, SocketPort
from bridge.field.modbus.tcp_master import TcpMaster, TcpSettings
from bridge.field.observe import RING_FRAMES, FrameRing, LineCounters, Observer
from bridge.field.serial_port import Parity, SerialPort, SerialSettings, Wake
from bridge.modbus.frame import MAX_RTU_LENGTH
from bridge.modbus.timing import LineTiming

# bytes of a request PDU (Modbus Application Protocol V1.1b3, 4.1): an RTU frame without unit id and CRC
MAX_PDU_LENGTH = MAX_RTU_LENGTH - 3
# s; how long a network may hold back bytes of a reply that has begun
NETWORK_LATENCY_S = 0.25
# s; how long after a time-out a device behind a device server may still answer
NETWORK_LATE_S = 2.0


class FieldChannel:
    """
    One channel. Opens itself with the first request and again after every loss.

    `broadcast`: functions that unit id 0 may be asked. `refusal`: why nothing may be asked at all.
    """

    def __init__(
        self,
        name: str,
        master: Master,
        arbiter: LineArbiter,
        pacer: Pacer | None = None,
        broadcast: frozenset[int] = frozenset(),
        refusal: str | None = None,
    ) -> None:
        self.name = name
        self._master, self._arbiter = master, arbiter
        self._line = Line(master, arbiter, pacer, name)
        self._broadcast, self._refusal = broadcast, refusal

    @property
    def counters(self) -> LineCounters:
        return self._master.counters

    @property
    def leased(self) -> bool:
        """Whether somebody has the line for himself."""
        return self._arbiter.leased

    async def ask(
        self,
        use: Use,
        user: str,
        unit_id: int,
        pdu: bytes,
        timeout_s: float,
        attempts: int = 2,
        late: Callable[[], bool] | None = None,
    ) -> bytes:
        """
        Return the reply PDU, a device's exception included; b"" after a broadcast.

        `user`: the fairness key. `timeout_s`: from the end of the request to the start of the reply; `attempts`: how
        often it may be sent. `late`: whether it is not to be sent any more when its turn comes (LineBusy).
        Raises: FieldError; ConnectFailed at once while the next attempt to connect is not due.
        """
        if not 0 <= unit_id <= 255 or not 1 <= len(pdu) <= MAX_PDU_LENGTH or not 1 <= pdu[0] < 0x80 or attempts < 1:
            raise RequestRefused(self.name, unit_id, "expected a function 1..127 and a PDU of 1..253 bytes")
        if self._refusal is not None:
            raise RequestRefused(self.name, unit_id, self._refusal)
        if unit_id != BROADCAST:
            return await self._line.ask(use, user, unit_id, pdu, timeout_s, attempts, late)
        if pdu[0] not in self._broadcast:
            raise RequestRefused(self.name, unit_id, f"function {pdu[0]} may not be broadcast on this channel")
        await self._arbiter.exchange(use, user, lambda: self._master.exchange(unit_id, pdu, timeout_s))
        return b""

    @contextlib.asynccontextmanager
    async def lease(self, others: Others = Others.REFUSED) -> AsyncIterator[None]:
        """Have the line for oneself; the others wait or get LineBusy. Raises: LineBusy for a second lease."""
        async with self._arbiter.lease(others):
            try:
                yield
            finally:
                self._master.hush()

    @contextlib.asynccontextmanager
    async def raw(self, received: Callable[[bytes], None]) -> AsyncIterator[Callable[[bytes], float]]:
        """
        Have the bytes of a serial line for oneself. `received`: what comes, b"" when the port is gone.

        Yields what sends bytes and returns the seconds they take on the line, or raises ConnectionLost.
        Raises: LineBusy, RequestRefused where there is no serial line, ConnectFailed.
        """
        if self._refusal is not None or not isinstance(self._master, RtuMaster):
            raise RequestRefused(self.name, 0, self._refusal or "the channel is no serial line of ours")
        async with self.lease():
            try:
                await asyncio.sleep(self._master.begin_raw(received))
                yield self._master.write_raw
            finally:
                self._master.end_raw()

    def observe(self, observer: Observer) -> None:
        """Call `observer` with every frame until `ignore`."""
        self._master.tap.add(observer)

    def ignore(self, observer: Observer) -> None:
        self._master.tap.remove(observer)

    @contextlib.contextmanager
    def trace(self, limit: int = RING_FRAMES) -> Iterator[FrameRing]:
        """Record the newest `limit` frames while the block runs."""
        ring = FrameRing(limit)
        self.observe(ring.append)
        try:
            yield ring
        finally:
            self.ignore(ring.append)

    def close(self) -> None:
        """Close for good: whoever waits or asks later gets ConnectionLost."""
        self._master.close()


def open_channel(
    name: str,
    config: Channel,
    clock: Clock,
    loop: asyncio.AbstractEventLoop,
    request_delays_s: Mapping[int, float] | None = None,
) -> FieldChannel:
    """Return the channel `config` describes; nothing is opened yet.

    `request_delays_s`: unit id -> pause between two requests to that device.
    """
    pacer = Pacer(clock, request_delays_s) if request_delays_s and any(request_delays_s.values()) else None
    refusal = "the channel is off" if config.off else None
    if isinstance(config, TcpChannel):
        arbiter = LineArbiter(name, config.in_flight)
        return FieldChannel(name, _tcp(name, config, clock), arbiter, pacer, frozenset(), refusal)
    if isinstance(config, RtuChannel):
        master: Master = _rtu(name, config, clock, loop)
    else:
        master = _rtu_over_tcp(name, config, clock, loop)
    return FieldChannel(name, master, LineArbiter(name), pacer, frozenset(config.broadcast), refusal)


def serial_settings(config: RtuChannel) -> SerialSettings:
    """Read `framing` ("8E1": data bits, parity, stop bits) and `wake`."""
    return SerialSettings(
        path=config.port,
        baud=config.baud,
        parity=Parity(config.framing[1]),
        stop_bits=int(config.framing[2]),
        wake=Wake.AT_COUNT if config.wake == "count" else Wake.EACH_CHUNK,
    )


def _rtu(name: str, config: RtuChannel, clock: Clock, loop: asyncio.AbstractEventLoop) -> RtuMaster:
    serial = serial_settings(config)
    settings = MasterSettings(
        channel=name,
        timing=LineTiming(config.baud, serial.bits_per_char, config.latency_s),
        echo=Echo.LOCAL if config.echo else Echo.NONE,
        transmit_delay_s=config.transmit_delay_s,
    )
    return RtuMaster(SerialPort(serial), settings, clock, _alarms(loop))


def _rtu_over_tcp(
    name: str, config: RtuOverTcpChannel, clock: Clock, loop: asyncio.AbstractEventLoop
) -> RtuOverTcpMaster:
    # bits per character: 8N1; the device server knows the framing, we only need the pace
    timing = LineTiming(config.baud, 10, NETWORK_LATENCY_S)
    settings = MasterSettings(channel=name, timing=timing, nap=Nap.NEVER, late_s=NETWORK_LATE_S, reopen_s=0.0)
    port = SocketPort()
    master = RtuMaster(port, settings, clock, _alarms(loop))
    connect = partial(dial, *endpoint(config.host, config.port), config.connect_timeout_s)
    return RtuOverTcpMaster(name, connect, port, master, clock)


def _tcp(name: str, config: TcpChannel, clock: Clock) -> TcpMaster:
    host, port = endpoint(config.host, config.port)

    async def connect(make: Callable[[], asyncio.Protocol]) -> object:
        sock = await dial(host, port, config.connect_timeout_s)
        try:
            return await asyncio.get_running_loop().create_connection(make, sock=sock)
        except BaseException:
            sock.close()
            raise

    return TcpMaster(connect, TcpSettings(name), clock)


def _alarms(loop: asyncio.AbstractEventLoop) -> Callable[[Callable[[], None]], Alarm]:
    return partial(TimerFdAlarm, loop)
