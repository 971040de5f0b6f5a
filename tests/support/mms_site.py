"""A synthetic site of meters for the IEC 61850 server: every kind of object, energies up to the end of the display."""

from collections.abc import Iterable

import msgspec

from bridge.config.ledger import Ledger
from bridge.core.point import DeviceDef, Kind, Nominal, PointDef, Role, Sample, Wiring
from bridge.core.ports import Projected, SiteFacts
from bridge.core.quality import Quality
from bridge.core.quantity import meaning_of
from bridge.core.store import PointStore
from bridge.projections.iec61850.mapping import Mapping, Plan, project
from bridge.projections.iec61850.rules import Facts, facts_of
from bridge.workers.worker import WorkerSpec

NOW_NS = 1_700_000_000_123_000_000
SERVER = "bridge.projections.iec61850.server"
PHASES = ("l1", "l2", "l3")
# 999,999.99 kWh in steps of 10 Wh: the last count of the display
LAST_COUNT = 99_999_999
# the MMXU of the tower: 29 objects with the counters, states and outputs below
ANALOGS = {
    **{f"voltage_{p}_n": "V" for p in PHASES},
    **{f"current_{p}": "A" for p in PHASES},
    **{f"active_power_{p}": "kW" for p in PHASES},
    "active_power_total": "kW",
    "reactive_power_total": "kvar",
    "apparent_power_total": "kVA",
    "power_factor_total": "",
    "frequency": "Hz",
    **{f"thd_current_{p}": "%" for p in PHASES},
}
COUNTERS = {
    "active_energy_import": "kWh",
    "active_energy_export": "kWh",
    "reactive_energy_import": "kvarh",
    "reactive_energy_export": "kvarh",
}
STATES = ("communication_status", "phase_loss_l1", "phase_loss_l2", "phase_loss_l3", "overload_alarm", "tamper_alarm")


def device(number: int) -> DeviceDef:
    return DeviceDef(
        f"m{number}", "toy", "Toy", "T1", "lan", number, False, Wiring.FOUR_WIRE, Nominal(), {}, "s.yaml:1"
    )


def points_of(number: int, first_index: int) -> list[PointDef]:
    made: list[PointDef] = []

    def add(name: str, kind: Kind, **more: object) -> None:
        base = PointDef(first_index + len(made), f"m{number}.{name}", kind, meaning=meaning_of(name))
        made.append(msgspec.structs.replace(base, stale_after_ns=10**15, label=name.replace("_", " "), **more))

    for name, unit in ANALOGS.items():
        add(name, Kind.ANALOG, unit=unit)
    for name, unit in COUNTERS.items():
        add(name, Kind.ACCUMULATOR, unit=unit, resolution=-2, mid=name == "active_energy_import")
    for name in STATES:
        add(name, Kind.BINARY, role=Role.STATUS)
    add("energy_direction", Kind.MULTISTATE, role=Role.STATUS, states=((0, "Import"), (1, "Export")))
    add("digital_output_1", Kind.BINARY, role=Role.COMMAND, writable=True)
    add("digital_output_2", Kind.BINARY, role=Role.COMMAND, writable=True)
    add("tariff_select", Kind.MULTISTATE, role=Role.COMMAND, writable=True, states=((1, "day"), (2, "night")))
    add("overload_threshold", Kind.ANALOG, unit="%", role=Role.SETTING, writable=True, low=80.0, high=120.0)
    add("serial_number", Kind.TEXT, role=Role.IDENTITY)
    add("demand_peak_timestamp", Kind.TIME)
    return made


def value_of(definition: PointDef) -> float | int | bool | str:
    """A value that differs from point to point."""
    index = definition.index
    match definition.kind:
        case Kind.ACCUMULATOR:
            return LAST_COUNT - index
        case Kind.ANALOG:
            return 230.125 + index / 8
        case Kind.BINARY:
            return index % 2 == 0
        case Kind.MULTISTATE:
            return definition.states[index % 2][0]
        case Kind.TEXT:
            return f"SN-{index:06}"
        case Kind.TIME:
            return NOW_NS + index * 10**9


def good(definition: PointDef) -> Sample:
    return Sample(value_of(definition), Quality.GOOD, NOW_NS + definition.index * 1_000_000, 1)


def site(meters: int = 5) -> SiteFacts:
    points: list[PointDef] = []
    for number in range(1, meters + 1):
        points += points_of(number, len(points))
    return SiteFacts("tower", points, [device(number) for number in range(1, meters + 1)])


def store_of(facts: SiteFacts) -> PointStore:
    store = PointStore(facts.points, facts.devices)
    store.publish([(d.index, good(d)) for d in facts.points])
    return store


def mapping(port: int = 0, /, **more: object) -> Mapping:
    listener = {"port": port, "first_message_s": 1.0, **msgspec.to_builtins(more.pop("listener", {}))}
    return msgspec.convert({"ied": "GW1", "listener": listener, **more}, Mapping)


def projected(facts: SiteFacts, port: int = 0, /, **more: object) -> Projected:
    return project(mapping(port, **more), facts, Ledger())


def plan_of(facts: SiteFacts, port: int = 0, /, **more: object) -> Plan:
    plan = projected(facts, port, **more).plan
    assert isinstance(plan, Plan)
    return plan


def facts_for(facts: SiteFacts, /, **more: object) -> Facts:
    """What a CID of this site is checked against."""
    return facts_of(plan_of(facts, **more), {definition.id: definition.kind for definition in facts.points})


def spec_of(facts: SiteFacts, port: int, state_dir: str = "", /, **more: object) -> WorkerSpec:
    made = projected(facts, port, **more)
    return WorkerSpec("iec61850", SERVER, msgspec.msgpack.encode(made.plan), made.needs, state_dir)


def by_id(facts: SiteFacts) -> dict[str, PointDef]:
    return {definition.id: definition for definition in facts.points}


def publish(store: PointStore, facts: SiteFacts, changes: dict[str, Sample]) -> None:
    known = by_id(facts)
    store.publish([(known[name].index, sample) for name, sample in changes.items()])


def indexes(facts: SiteFacts) -> Iterable[int]:
    return (definition.index for definition in facts.points)
