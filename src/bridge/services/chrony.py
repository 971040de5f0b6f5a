"""
What chronyd knows of the clock: asked over its command port, beside the kernel, which knows less (T-01, T-04).

The request and answer of `chronyc tracking`, protocol version 6 (chrony 4, candm.h), every number big-endian:

    request   version 6 | type 1 | 0 0 | command 33 (2) | attempt (2) | sequence (4) | 0 (8) | 0 up to 104
    answer    version 6 | type 2 | 0 0 | command 33 (2) | reply 5 (2) | status (2) | 0 (6) | sequence (4) | 0 (8)
              reference id (4) | address (20) | stratum (2) | leap status (2) | reference time (12)
              4 each: correction, last offset, rms offset, frequency, residual, skew, root delay, root dispersion,
              interval

A number of four bytes with a fraction is c * 2**(e - 25): e the upper 7 bits, c the lower 25, both signed.
"""

import asyncio
import struct

from bridge.core.clock import Clock
from bridge.services.kernel_clock import KernelClock

PORT = 323
# Seconds between two questions, and ns after which an answer says nothing any more
_ASK_S = 10.0
_FRESH_NS = 30_000_000_000
# Seconds an answer may take
_ANSWER_S = 1.0
_VERSION, _REQUEST, _REPLY, _TRACKING, _RPY_TRACKING = 6, 1, 2, 33, 5
_LENGTH = 104
_REQUEST_HEAD = struct.Struct(">BBxxHHI8x")
_REPLY_HEAD = struct.Struct(">BBxxHHH6xI8x")
_FACTS = struct.Struct(">4x20xHH12x9I")
# Leap status of a clock that follows nothing
_NOT_SYNCHRONISED = 3


def request(sequence: int) -> bytes:
    """Return the question; as long as its answer, or chronyd does not answer."""
    return _REQUEST_HEAD.pack(_VERSION, _REQUEST, _TRACKING, 0, sequence).ljust(_LENGTH, b"\x00")


def answered(reply: bytes, sequence: int) -> KernelClock | None:
    """Return what an answer says, None for what is no answer to the question of this number."""
    if len(reply) < _LENGTH:
        return None
    head = _REPLY_HEAD.unpack_from(reply)
    if head != (_VERSION, _REPLY, _TRACKING, _RPY_TRACKING, 0, sequence):
        return None
    stratum, leap, *numbers = _FACTS.unpack_from(reply, _REPLY_HEAD.size)
    correction, _, _, _, _, _, root_delay, root_dispersion, _ = map(_fraction, numbers)
    synchronised = leap != _NOT_SYNCHRONISED and stratum > 0
    # the bound that chrony itself gives for the error of the clock
    return KernelClock(synchronised, abs(correction) + root_dispersion + root_delay / 2, f"chrony, stratum {stratum}")


def _fraction(number: int) -> float:
    exponent, coefficient = number >> 25, number & 0x1FF_FFFF
    if exponent >= 1 << 6:
        exponent -= 1 << 7
    if coefficient >= 1 << 24:
        coefficient -= 1 << 25
    return float(coefficient) * 2.0 ** (exponent - 25)


class Chrony(asyncio.DatagramProtocol):
    """Loop thread only. Nothing listens: it is a socket of one peer, 127.0.0.1."""

    def __init__(self, clock: Clock, port: int = PORT) -> None:
        self._clock, self.port = clock, port
        self._sequence = 0
        self._known: tuple[int, KernelClock] | None = None
        self._over = asyncio.Event()

    def state(self) -> KernelClock | None:
        """Return what chronyd said last, None when it is not there."""
        if self._known is None or self._clock.monotonic_ns() - self._known[0] > _FRESH_NS:
            return None
        return self._known[1]

    def datagram_received(self, data: bytes, addr: object) -> None:
        found = answered(data, self._sequence)
        if found is not None:
            self._known = self._clock.monotonic_ns(), found
            self._over.set()

    def error_received(self, exc: Exception) -> None:
        """Nobody is there; the next question finds out again."""
        self._over.set()

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            if self.port:
                await self._ask(self.port)
            await asyncio.sleep(_ASK_S)

    async def _ask(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_datagram_endpoint(lambda: self, remote_addr=("127.0.0.1", port))
        except OSError:
            return
        self._over.clear()
        self._sequence = (self._sequence + 1) & 0xFFFF_FFFF
        transport.sendto(request(self._sequence))
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._over.wait()
        except TimeoutError:
            return
        finally:
            transport.close()
