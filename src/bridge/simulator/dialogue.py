"""
What simulated meters answer: frames and PDUs by pymodbus 3.16.1, values by `meters`. No I/O.

pymodbus' own server is not used: it loses the second of two requests in one segment, answers a bad count with function
code 0x80 and stays deaf after a bad header (measured with 3.16.1). Its framers, its PDU classes and their
`datastore_update` are: every byte a master sees is pymodbus' work.
"""

import random
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pymodbus.constants import ExcCodes
from pymodbus.datastore import ModbusServerContext
from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU

from bridge.config.meter import Table
from bridge.simulator.meters import Fault, SimulatedMeter
from bridge.simulator.registers import BITS, Refusal

# A late reply comes this many of the master's time-outs after the request.
LATE_TIMEOUTS = 1.5
_READS = frozenset({1, 2, 3, 4})
_BIT_WRITES = frozenset({5, 15})
_KNOWN = _READS | {5, 6, 15, 16}
# unit + function + CRC, or the MBAP header and a function
_SHORTEST_RTU, _MBAP_LENGTH, _LONGEST_MBAP = 4, 6, 254
_LONGEST_RTU = 256


@dataclass(frozen=True, slots=True)
class Reply:
    """A frame to send `after_s` from now; `turnaround_s` of it is the device's own."""

    frame: bytes
    after_s: float
    is_late: bool


class BadStream(ValueError):
    """A TCP stream that is not Modbus; nothing after this point can be trusted."""


class Dialogue:
    """The devices of one channel, by unit id, as one or more masters talk to them."""

    def __init__(self, meters: Mapping[int, SimulatedMeter], seed: int) -> None:
        self._meters = meters
        self._decoder = DecodePDU(True)
        self._rtu, self._socket = FramerRTU(self._decoder), FramerSocket(self._decoder)
        self._noise = random.Random(seed)

    def rtu_request(self, data: bytes) -> bytes | None:
        """
        Return the RTU request at the start of `data`, None while it is not whole.

        Raises: BadStream for what cannot become a request.
        """
        if len(data) < _SHORTEST_RTU:
            return None
        try:
            kind = self._decoder.lookupPduClass(data)
            size = 0 if kind is None else kind.calculateRtuFrameSize(data)
        except (ModbusException, LookupError) as exc:
            raise BadStream("expected a function whose length is known") from exc
        if kind is None or data[1] & 0x80:
            raise BadStream("expected a request")
        if size > _LONGEST_RTU:
            raise BadStream(f"expected at most {_LONGEST_RTU} bytes, found {size}")
        if not size or len(data) < size:
            return None
        frame = data[:size]
        if not FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big")):
            raise BadStream("expected a right CRC")
        return frame

    def rtu_reply(self, frame: bytes) -> Reply | None:
        """Return the reply to a whole RTU frame with a right CRC, None for none."""
        return self._reply(frame[0], 0, frame[1:-2], self._rtu)

    def unknown_function(self, data: bytes) -> Reply | None:
        """Return the reply to bytes that ended in silence and no known request, None unless the CRC holds."""
        whole = _SHORTEST_RTU <= len(data) <= _LONGEST_RTU and not data[1] & 0x80
        if not whole or not FramerRTU.check_CRC(data[:-2], int.from_bytes(data[-2:], "big")):
            return None
        return self.rtu_reply(data)

    def tcp_request(self, data: bytes) -> bytes | None:
        """Return the Modbus/TCP request at the start of `data`, None while it is not whole. Raises: BadStream."""
        if len(data) < _MBAP_LENGTH:
            return None
        length = int.from_bytes(data[4:6], "big")
        if data[2:4] != b"\0\0" or not 2 <= length <= _LONGEST_MBAP:
            raise BadStream(f"expected protocol 0 and length 2..254, found {data[2:4].hex()} and {length}")
        end = _MBAP_LENGTH + length
        return data[:end] if len(data) >= end else None

    def tcp_reply(self, frame: bytes) -> Reply | None:
        """Return the reply to a whole Modbus/TCP frame, None for none."""
        _, unit_id, transaction, pdu = self._socket.decode(frame)
        return self._reply(unit_id, transaction, pdu, self._socket)

    def _reply(self, unit_id: int, transaction: int, pdu: bytes, framer: FramerRTU | FramerSocket) -> Reply | None:
        if unit_id == 0:
            self._broadcast(pdu)
            return None
        meter = self._meters.get(unit_id)
        if meter is None or meter.fault is Fault.DEAD:
            return None
        answer = self._answer(meter, unit_id, pdu)
        answer.dev_id, answer.transaction_id = unit_id, transaction
        frame = framer.buildFrame(answer)
        limits = meter.device.limits
        if meter.fault is Fault.NOISE:
            frame = self._spoilt(frame, meter.noise_rate, framer)
        if meter.fault is Fault.LATE:
            return Reply(frame, LATE_TIMEOUTS * limits.timeout_s, is_late=True)
        return Reply(frame, limits.turnaround_s, is_late=False)

    def _answer(self, meter: SimulatedMeter, unit_id: int, pdu: bytes) -> ModbusPDU:
        function = pdu[0]
        if meter.fault is Fault.EXCEPTION:
            return ExceptionResponse(function, ExcCodes.DEVICE_FAILURE)
        if function not in meter.functions or function not in _KNOWN:
            return ExceptionResponse(function, ExcCodes.ILLEGAL_FUNCTION)
        request = self._decoder.decode(pdu)
        if request is None:
            return ExceptionResponse(function, ExcCodes.ILLEGAL_VALUE)
        store = cast("ModbusServerContext", _Datastore(meter))
        return _finished(request.datastore_update(store, unit_id))

    def _broadcast(self, pdu: bytes) -> None:
        for meter in self._meters.values():
            if pdu[0] not in _READS and meter.fault in (None, Fault.NOISE, Fault.LATE):
                self._answer(meter, 0, pdu)

    def _spoilt(self, frame: bytes, rate: float | None, framer: FramerRTU | FramerSocket) -> bytes:
        """
        Return the frame damaged so that a master can tell. RTU: one to three bits, which the CRC-16 always shows, or
        bytes lost. TCP, which has no checksum: the header. With a `rate` every byte is hit with that probability.
        """
        noise = self._noise
        spoilt = bytearray(frame)
        if isinstance(framer, FramerSocket):
            if rate is None or noise.random() < rate * len(frame):
                spoilt[noise.randrange(2, 4)] ^= noise.randrange(1, 256)
            return bytes(spoilt)
        if rate is not None:
            for at in range(len(spoilt)):
                if noise.random() < rate:
                    spoilt[at] ^= noise.randrange(1, 256)
            return bytes(spoilt)
        if noise.random() < 0.3:
            return bytes(spoilt[: noise.randrange(1, len(spoilt))])
        for bit in noise.sample(range(8 * len(spoilt)), noise.randrange(1, 4)):
            spoilt[bit // 8] ^= 1 << bit % 8
        return bytes(spoilt)


class _Datastore:
    """One meter as pymodbus' PDU classes ask for it."""

    def __init__(self, meter: SimulatedMeter) -> None:
        self._meter = meter

    async def async_getValues(
        self, device_id: int, func_code: int, address: int, count: int = 1
    ) -> list[int] | list[bool] | ExcCodes:
        table = _table(func_code)
        found = self._meter.read(table, address, count)
        if isinstance(found, Refusal):
            return ExcCodes(found)
        return [bool(bit) for bit in found] if table in BITS else found

    async def async_setValues(
        self, device_id: int, func_code: int, address: int, values: Sequence[int] | Sequence[bool]
    ) -> ExcCodes | None:
        refusal = self._meter.write(func_code, _table(func_code), address, [int(value) for value in values])
        return None if refusal is None else ExcCodes(refusal)


def _table(function: int) -> Table:
    if function in _READS:
        return Table(function)
    return Table.COIL if function in _BIT_WRITES else Table.HOLDING


def _finished(work: Coroutine[Any, Any, ModbusPDU]) -> ModbusPDU:
    """Return the result of a coroutine that waits for nothing: ours never do, so no task is needed."""
    try:
        work.send(None)
    except StopIteration as done:
        result: ModbusPDU = done.value
        return result
    work.close()
    raise RuntimeError("expected a datastore that waits for nothing")
