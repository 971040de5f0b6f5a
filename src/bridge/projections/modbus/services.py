"""What the sessions of a worker share: the units, the way of a write, counters and refusals."""

import logging
import struct
from collections.abc import Callable, Coroutine
from typing import Any

from bridge.core.clock import Clock
from bridge.core.command import Command, Origin
from bridge.core.ports import CommandPort, Nobody, RefusalSink
from bridge.modbus.frame import EXCEPTION_BIT, exception_pdu
from bridge.projections.modbus.requests import (
    MOST_READ_REGISTERS,
    READ_HOLDING,
    READ_INPUT_REGISTERS,
    WRITES,
    Refused,
    Requests,
    Write,
    code_of,
)
from bridge.projections.modbus.tables import Registers, Unit

_log = logging.getLogger("bridge.modbus")
_KNOWN_CODES = (1, 2, 3, 4, 6, 10, 11)
COUNTERS = (
    "connections",
    "requests",
    "bytes_in",
    "bytes_out",
    "bad_frames",
    "writes_done",
    "writes_refused",
    *(f"exception_{code:02x}" for code in _KNOWN_CODES),
    "exception_other",
)


class Fast:
    """What the first branch needs of one (unit id, function)."""

    __slots__ = ("heads", "table")

    def __init__(self, unit_id: int, function: int, table: Registers) -> None:
        self.table = table
        # MBAP length, unit id, function and byte count of a reply, by the number of registers
        self.heads = [
            struct.pack(">HBBB", 3 + 2 * count, unit_id, function, 2 * count)
            for count in range(MOST_READ_REGISTERS + 1)
        ]


def fast_reads(units: dict[int, Unit]) -> dict[bytes, Fast]:
    """Return Fast by bytes 2 to 7 of a request: protocol 0, length 6, unit id, function."""
    return {
        bytes((0, 0, 0, 6, unit_id, function)): Fast(unit_id, function, unit.registers)
        for unit_id, unit in units.items()
        for function in (READ_HOLDING, READ_INPUT_REGISTERS)
    }


class Services:
    """What all sessions share, on TCP and on serial lines."""

    def __init__(
        self,
        units: dict[int, Unit],
        requests: Requests,
        commands: CommandPort,
        clock: Clock,
        counters: dict[str, int],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        write_timeout_ns: int,
        refusals: RefusalSink | None = None,
    ) -> None:
        self.refusals = refusals or Nobody()
        self.fast, self.requests, self.commands, self.clock = fast_reads(units), requests, commands, clock
        self.counters, self.spawn, self.write_timeout_ns = counters, spawn, write_timeout_ns
        counters.update(dict.fromkeys(COUNTERS, 0))

    def count_exception(self, origin: Origin, unit_id: int, reply: bytes) -> None:
        """Count an exception reply; a refused write is told."""
        name = f"exception_{reply[1]:02x}"
        self.counters[name if name in self.counters else "exception_other"] += 1
        function = reply[0] & ~EXCEPTION_BIT
        if function in WRITES:
            self.counters["writes_refused"] += 1
            _log.warning(
                "write_refused peer=%s unit_id=%d function=%d code=%d", origin.peer, unit_id, function, reply[1]
            )

    def refuse(self, origin: Origin, unit_id: int, pdu: bytes, reply: bytes) -> None:
        """Have the core record a write that never became a command."""
        target = f"unit {unit_id} function {pdu[0]} address {int.from_bytes(pdu[1:3], 'big')}"
        self.refusals.refused(origin, target, f"exception {reply[-1]:#04x}")


async def carried_out(services: Services, origin: Origin, function: int, write: Write) -> bytes:
    """Do the commands one after the other; the first that is not done decides the reply PDU."""
    deadline_ns = services.clock.monotonic_ns() + services.write_timeout_ns
    code = 0
    for index, value in write.commands:
        result = await services.commands.submit(Command(index, value, origin, deadline_ns))
        code = code_of(result)
        if code:
            break
    if code == 0:
        services.counters["writes_done"] += 1
    try:
        return exception_pdu(function, code) if code else write.reply()
    except Refused as refused:
        return exception_pdu(function, refused.code)
