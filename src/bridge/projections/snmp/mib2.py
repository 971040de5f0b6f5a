"""
The objects every agent has: system and snmp groups (RFC 3418), snmpEngine and snmpMPDStats (RFC 3411, 3412),
usmStats (RFC 3414). Communities and users are in no MIB here: they could be read in clear.
"""

from collections.abc import Callable
from dataclasses import dataclass

from bridge.projections.snmp.ber import Oid, Syntax, Value
from bridge.projections.snmp.counters import USM_COUNTERS, USM_STATS, Counters
from bridge.projections.snmp.oidtree import Freshness, Instance, Instances, ObjectType, Table
from bridge.projections.snmp.usm import EngineClock
from bridge.projections.snmp.v3 import MAX_RECEIVE

SYSTEM: Oid = (1, 3, 6, 1, 2, 1, 1)
SNMP: Oid = (1, 3, 6, 1, 2, 1, 11)
SNMP_ENGINE: Oid = (1, 3, 6, 1, 6, 3, 10, 2, 1)
MPD_STATS: Oid = (1, 3, 6, 1, 6, 3, 11, 2, 1)
# An end system of layers 4 and 7 (RFC 3418, sysServices).
SERVICES = 72
# snmpEnableAuthenTraps: enabled(1), disabled(2).
AUTHEN_TRAPS = {True: 1, False: 2}
# What sysORTable tells of: modules this agent implements (RFC 3418, 3411, 3412, 3414)
_MODULES: tuple[tuple[Oid, bytes], ...] = (
    ((1, 3, 6, 1, 6, 3, 1), b"SNMPv2-MIB: system and snmp groups"),
    ((1, 3, 6, 1, 2, 1, 2), b"RFC1213-MIB: interfaces group"),
    ((1, 3, 6, 1, 2, 1, 31), b"IF-MIB: ifXTable, ifTableLastChange"),
    ((1, 3, 6, 1, 6, 3, 10, 3, 1, 1), b"SNMP-FRAMEWORK-MIB: snmpEngine"),
    ((1, 3, 6, 1, 6, 3, 11, 3, 1, 1), b"SNMP-MPD-MIB: snmpMPDStats"),
    ((1, 3, 6, 1, 6, 3, 15, 2, 1, 1), b"SNMP-USER-BASED-SM-MIB: usmStats"),
)

_SNMP_COUNTERS = {
    1: "in_packets",
    2: "out_packets",
    3: "in_bad_versions",
    4: "in_bad_communities",
    5: "in_bad_uses",
    6: "in_parse_errors",
    13: "in_total_req_vars",
    14: "in_total_set_vars",
    15: "in_gets",
    16: "in_nexts",
    17: "in_sets",
    20: "out_too_bigs",
    21: "out_no_such_names",
    22: "out_bad_values",
    24: "out_gen_errs",
    28: "out_responses",
    29: "out_traps",
    31: "silent_drops",
}
_MPD_COUNTERS = {1: "unknown_security_models", 2: "invalid_messages", 3: "unknown_pdu_handlers"}


@dataclass(frozen=True, slots=True)
class SystemGroup:
    """Texts of at most 255 bytes (RFC 3418)."""

    description: bytes
    object_id: Oid
    contact: bytes
    name: bytes
    location: bytes


def mib2_tables(
    system: SystemGroup, engine_id: bytes, clock: EngineClock, counters: Counters, authen_traps: bool = False
) -> list[Table]:
    objects = [
        *_system(system, clock),
        *(_counter((*SNMP, arc), counters, field) for arc, field in _SNMP_COUNTERS.items()),
        _constant((*SNMP, 30), Syntax.INTEGER32, AUTHEN_TRAPS[authen_traps]),
        _constant((*SNMP, 32), Syntax.COUNTER32, 0),
        _constant((*SNMP_ENGINE, 1), Syntax.OCTET_STRING, engine_id),
        _live((*SNMP_ENGINE, 2), Syntax.INTEGER32, lambda: clock.boots),
        _live((*SNMP_ENGINE, 3), Syntax.INTEGER32, clock.time_s),
        _constant((*SNMP_ENGINE, 4), Syntax.INTEGER32, MAX_RECEIVE),
        *(_counter((*MPD_STATS, arc), counters, field) for arc, field in _MPD_COUNTERS.items()),
        *(_counter((*USM_STATS, arc), counters, field) for arc, field in USM_COUNTERS.items()),
    ]
    return [*(Table([item]) for item in objects), _modules((*system.object_id, 1))]


def _modules(own: Oid) -> Table:
    """sysORTable: constant since the start."""
    modules = (*_MODULES, (own, b"METERBRIDGE-MIB"))
    entry = (*SYSTEM, 9, 1)
    columns = [
        ObjectType((*entry, 2), Syntax.OBJECT_ID, lambda at: modules[at][0]),
        ObjectType((*entry, 3), Syntax.OCTET_STRING, lambda at: modules[at][1]),
        ObjectType((*entry, 4), Syntax.TIME_TICKS, lambda at: 0),
    ]
    return Table(columns, Instances([Instance((at + 1,), at) for at in range(len(modules))]))


def _system(system: SystemGroup, clock: EngineClock) -> list[ObjectType]:
    return [
        _constant((*SYSTEM, 1), Syntax.OCTET_STRING, system.description),
        _constant((*SYSTEM, 2), Syntax.OBJECT_ID, system.object_id),
        _live((*SYSTEM, 3), Syntax.TIME_TICKS, clock.uptime_cs),
        _constant((*SYSTEM, 4), Syntax.OCTET_STRING, system.contact),
        _constant((*SYSTEM, 5), Syntax.OCTET_STRING, system.name),
        _constant((*SYSTEM, 6), Syntax.OCTET_STRING, system.location),
        _constant((*SYSTEM, 7), Syntax.INTEGER32, SERVICES),
        _constant((*SYSTEM, 8), Syntax.TIME_TICKS, 0),
    ]


def _constant(oid: Oid, syntax: Syntax, value: Value) -> ObjectType:
    return ObjectType(oid, syntax, lambda _: value)


def _live(oid: Oid, syntax: Syntax, read: Callable[[], int]) -> ObjectType:
    return ObjectType(oid, syntax, lambda _: read(), Freshness.LIVE)


def _counter(oid: Oid, counters: Counters, field: str) -> ObjectType:
    def read(_: int) -> int:
        value: int = getattr(counters, field)
        return value

    return ObjectType(oid, Syntax.COUNTER32, read, Freshness.LIVE)
