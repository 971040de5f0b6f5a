"""Scalars of the bridge itself."""

from collections.abc import Callable

from bridge.projections.snmp.ber import Syntax, Value
from bridge.projections.snmp.counters import Counters
from bridge.projections.snmp.devices import Devices
from bridge.projections.snmp.mib_fixed import REVISION
from bridge.projections.snmp.objects import objects_oid
from bridge.projections.snmp.oidtree import Freshness, ObjectType, Table
from bridge.projections.snmp.plan import GATEWAY_ARC, Plan


def gateway_tables(plan: Plan, version: str, devices: Devices, counters: Counters) -> list[Table]:
    text, gauge, counter = Syntax.OCTET_STRING, Syntax.GAUGE32, Syntax.COUNTER32
    scalars: tuple[tuple[int, Syntax, Callable[[], Value]], ...] = (
        (1, text, version.encode),
        (2, text, REVISION.encode),
        (3, gauge, lambda: len(devices.devices)),
        (4, gauge, devices.offline),
        (5, gauge, lambda: len(plan.rows)),
        (6, gauge, devices.bad_points),
        (7, counter, lambda: counters.out_traps),
        (8, counter, lambda: counters.traps_dropped),
        (9, counter, lambda: counters.writes_refused),
    )
    oid = objects_oid(plan, GATEWAY_ARC)
    return [Table([ObjectType((*oid, arc), syntax, _reader(read), Freshness.LIVE)]) for arc, syntax, read in scalars]


def _reader(read: Callable[[], Value]) -> Callable[[int], Value]:
    return lambda _: read()
