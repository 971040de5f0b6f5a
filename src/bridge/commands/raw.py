"""
Raw Modbus requests on their way to a line: which may pass. Pure; the core asks it whatever the worker says.

Reads pass. A write passes only if a rule of the site lets it, and to a MID meter only where its meter file declares a
writable point: an unknown register may be its billing just as well. What is not understood passes only if a rule names
its function, and never to a device that anything is billed by.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.commands.policy import Networks, Roles
from bridge.config.access import AccessFile, GatewayRule
from bridge.config.meter import Table
from bridge.config.model import FieldDevice, Register, SiteConfig
from bridge.core.command import Origin
from bridge.core.rights import Right
from bridge.modbus.request import Effect

BROADCAST = 0
# Modbus Application Protocol V1.1b3: 6.1 to 6.4, 6.7 (exception status), 6.9 and 6.10 (event counter and log),
# 6.13 (server id), 6.14 (file record), 6.18 (FIFO); 6.21 with MEI type 14 (device identification)
READS = frozenset({1, 2, 3, 4, 7, 11, 12, 17, 20, 24})
_ENCAPSULATED, _IDENTIFICATION = 43, 14
# the writes whose registers are known; of the others nobody knows what they change
_WRITE_COIL, _WRITE_REGISTER, _WRITE_COILS, _WRITE_REGISTERS, _MASK_WRITE, _READ_WRITE = 5, 6, 15, 16, 22, 23
_WRITES = frozenset({_WRITE_COIL, _WRITE_REGISTER, _WRITE_COILS, _WRITE_REGISTERS, _MASK_WRITE, _READ_WRITE})


@dataclass(frozen=True, slots=True)
class Written:
    """What a request writes: `count` coils or registers from `address`."""

    table: Table
    address: int
    count: int


@dataclass(frozen=True, slots=True)
class RawDecision:
    """`refusal` None: let it pass. `written`: what, as far as that can be known. `effect`: what to record."""

    refusal: str | None
    written: Written | None = None
    role: str = ""
    effect: Effect = Effect.READ


@dataclass(frozen=True, slots=True)
class _Rule:
    source: GatewayRule
    networks: Networks


class RawPolicy:
    """Compiled once per configuration; `judge` has no state."""

    def __init__(self, access: AccessFile, devices: Sequence[FieldDevice], roles: Roles) -> None:
        self._roles = roles
        self._rules = [_Rule(rule, Networks(rule.networks)) for rule in access.gateway]
        self._devices: dict[str, list[FieldDevice]] = {}
        for device in devices:
            self._devices.setdefault(device.definition.channel, []).append(device)

    def judge(self, pdu: bytes, unit_id: int, channel: str, origin: Origin) -> RawDecision:
        """Say whether this request may go to `unit_id` on `channel`."""
        if not pdu:
            return RawDecision("an empty request")
        if pdu[0] in READS or pdu[:2] == bytes((_ENCAPSULATED, _IDENTIFICATION)):
            return RawDecision("a read cannot be broadcast" if unit_id == BROADCAST else None)
        role = self._roles.role_of(origin)
        written = written_by(pdu)
        if written is None and pdu[0] in _WRITES:
            return RawDecision(f"no whole request of function {pdu[0]}", None, role, Effect.WRITE)
        refusal = self._refusal(pdu[0], unit_id, channel, origin, role, written)
        return RawDecision(refusal, written, role, Effect.WRITE)

    def _refusal(
        self, function: int, unit_id: int, channel: str, origin: Origin, role: str, written: Written | None
    ) -> str | None:
        here = self._devices.get(channel, [])
        heard = here if unit_id == BROADCAST else [d for d in here if d.definition.unit_id == unit_id]
        if not heard:
            return "no device of the site has this unit id"
        for device in heard:
            refusal = _locked(device, written)
            if refusal is not None:
                return refusal
        if not role:
            return "no role for this peer"
        if not self._roles.may(role, Right.CONFIGURATION) or not self._roles.may(role, Right.COMMUNICATION):
            return f"role {role} has not both rights configuration and communication"
        if not any(_fits(rule, function, unit_id, channel, origin, role, written) for rule in self._rules):
            return "no rule allows it"
        return None


def written_by(pdu: bytes) -> Written | None:
    """Return what a write request writes; None for other functions and for requests that are not whole."""
    function, size = pdu[0], len(pdu)
    if function in (_WRITE_COIL, _WRITE_REGISTER) and size == 5:
        return Written(Table.COIL if function == _WRITE_COIL else Table.HOLDING, _word(pdu, 1), 1)
    if function == _MASK_WRITE and size == 7:
        return Written(Table.HOLDING, _word(pdu, 1), 1)
    if function == _WRITE_COILS and size >= 7:
        count = _word(pdu, 3)
        whole = 1 <= count <= 0x7B0 and pdu[5] == (count + 7) // 8 and size == 6 + pdu[5]
        return _range(Table.COIL, _word(pdu, 1), count) if whole else None
    if function == _WRITE_REGISTERS and size >= 8:
        count = _word(pdu, 3)
        whole = 1 <= count <= 0x7B and pdu[5] == 2 * count and size == 6 + pdu[5]
        return _range(Table.HOLDING, _word(pdu, 1), count) if whole else None
    if function == _READ_WRITE and size >= 12:
        count = _word(pdu, 7)
        whole = 1 <= count <= 0x79 and pdu[9] == 2 * count and size == 10 + pdu[9]
        return _range(Table.HOLDING, _word(pdu, 5), count) if whole else None
    return None


def raw_policy(config: SiteConfig, roles: Roles) -> RawPolicy:
    """Return the policy of a whole configuration."""
    return RawPolicy(config.access, config.field, roles)


def _locked(device: FieldDevice, written: Written | None) -> str | None:
    if written is None:
        billed = device.definition.mid or any(point.locked for point in device.points)
        return f"{device.definition.id} is billed by, and the function cannot be looked into" if billed else None
    for point in device.points:
        if any(_overlaps(register, written) for register in point.locked):
            return f"{point.definition.id}: a MID meter bills by it"
    if not device.definition.mid:
        return None
    open_ = [point.write.register for point in device.points if point.write is not None]
    if not all(any(_holds(register, written.table, at) for register in open_) for at in _addresses(written)):
        return f"{device.definition.id} is a MID meter, and its meter file declares no writable point there"
    return None


def _fits(
    rule: _Rule, function: int, unit_id: int, channel: str, origin: Origin, role: str, written: Written | None
) -> bool:
    source = rule.source
    named = unit_id in source.units if source.units else unit_id != BROADCAST
    return (
        source.channel == channel
        and named
        and function in source.functions
        and (not source.roles or role in source.roles)
        and rule.networks.admit(origin.peer)
        and (not source.registers or (written is not None and any(_within(s, written) for s in source.registers)))
    )


def _within(span: tuple[int, int], written: Written) -> bool:
    return span[0] <= written.address and written.address + written.count - 1 <= span[1]


def _overlaps(register: Register, written: Written) -> bool:
    same = register.table is written.table
    return same and register.address < written.address + written.count and written.address < _end(register)


def _holds(register: Register, table: Table, address: int) -> bool:
    return register.table is table and register.address <= address < _end(register)


def _end(register: Register) -> int:
    return register.address + register.count


def _addresses(written: Written) -> range:
    return range(written.address, written.address + written.count)


def _range(table: Table, address: int, count: int) -> Written | None:
    return Written(table, address, count) if address + count <= 0x10000 else None


def _word(pdu: bytes, at: int) -> int:
    return int(struct.unpack_from(">H", pdu, at)[0])
