"""`at:` of a meter file -> table and 0-based wire address; register counts of the types. Pure."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from bridge.config.faults import Wrong
from bridge.config.meter import Addressing, RegisterType, Table

LAST_ADDRESS = 65535

BIT_TABLES = frozenset({Table.COIL, Table.DISCRETE_INPUT})

TABLE_NAMES: Mapping[Table, str] = MappingProxyType(
    {
        Table.COIL: "coils",
        Table.DISCRETE_INPUT: "discrete inputs",
        Table.HOLDING: "holding registers",
        Table.INPUT: "input registers",
    }
)

# Registers of each type; 0: as many as the file says
REGISTERS: Mapping[RegisterType, int] = MappingProxyType(
    {
        RegisterType.UINT16: 1,
        RegisterType.INT16: 1,
        RegisterType.UINT32: 2,
        RegisterType.INT32: 2,
        RegisterType.UINT64: 4,
        RegisterType.INT64: 4,
        RegisterType.FLOAT32: 2,
        RegisterType.FLOAT64: 4,
        RegisterType.UM10K: 2,
        RegisterType.M10K: 2,
        RegisterType.BOOL: 1,
        RegisterType.STRING: 0,
        RegisterType.STRING16: 0,
        RegisterType.UNIX_TIME: 2,
        RegisterType.DATETIME4: 4,
    }
)

_PREFIXES = {"coil": Table.COIL, "di": Table.DISCRETE_INPUT, "hr": Table.HOLDING, "ir": Table.INPUT}
_PREFIXED = re.compile(r"(coil|di|hr|ir):\s*(0x[0-9a-fA-F]{1,4}|[0-9]{1,5})\Z", re.ASCII)

# Modicon numbers: (first, last) and the table; the wire address is the distance from `first`
_MODICON = (
    (1, 9_999, Table.COIL),
    (10_001, 19_999, Table.DISCRETE_INPUT),
    (30_001, 39_999, Table.INPUT),
    (40_001, 49_999, Table.HOLDING),
    (100_001, 165_536, Table.DISCRETE_INPUT),
    (300_001, 365_536, Table.INPUT),
    (400_001, 465_536, Table.HOLDING),
)


def wire_address(at: int | str, addressing: Addressing, default: Table, key: str = "at") -> tuple[Table, int]:
    """Return table and 0-based address. Raises: Wrong."""
    if isinstance(at, str):
        match = _PREFIXED.match(at.strip())
        if match is None:
            raise Wrong(key, f'expected an address, or hr:, ir:, coil: or di: and one, found the text "{at[:40]}"')
        return _PREFIXES[match[1]], _checked(int(match[2], 0), key, at)
    if addressing is Addressing.ZERO:
        return default, _checked(at, key, at)
    if addressing is Addressing.ONE:
        if at == 0:
            raise Wrong(key, "expected an address counted from 1 (addressing: one), found 0")
        return default, _checked(at - 1, key, at)
    for first, last, table in _MODICON:
        if first <= at <= last:
            return table, at - first
    raise Wrong(
        key,
        "expected a Modicon number (00001.. coils, 10001.. discrete inputs, 30001.. input registers, "
        f"40001.. holding registers), found {at}",
    )


def _checked(address: int, key: str, written: int | str) -> int:
    if address > LAST_ADDRESS:
        raise Wrong(key, f"expected an address up to {LAST_ADDRESS} on the wire, found {written}")
    return address


def register_count(kind: RegisterType, registers: int | None, table: Table, address: int) -> int:
    """Return how many registers (or bits) the value takes. Raises: Wrong."""
    fixed = REGISTERS[kind]
    if table in BIT_TABLES and kind is not RegisterType.BOOL:
        raise Wrong("type", f"expected bool, for {TABLE_NAMES[table]} hold single bits, found {kind.value}")
    if fixed and registers not in (None, 0, fixed):
        raise Wrong("registers", f"expected {fixed} for {kind.value}, found {registers}")
    count = fixed or registers or 0
    if count == 0:
        raise Wrong("registers", f"expected how many registers the {kind.value} takes, found none")
    if address + count - 1 > LAST_ADDRESS:
        raise Wrong("at", f"expected all {count} registers below {LAST_ADDRESS + 1}, found the first at {address}")
    return count
