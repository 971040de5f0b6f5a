"""A synthetic site of meters for the Modbus server: every kind of point, energies a float64 cannot hold."""

from collections.abc import Callable, Sequence

import msgspec

from bridge.config.ledger import Ledger
from bridge.core.event import Event
from bridge.core.point import DeviceDef, Kind, Nominal, PointDef, Role, Sample, Wiring
from bridge.core.ports import Projected, SiteFacts
from bridge.core.quality import Quality
from bridge.core.store import PointStore
from bridge.projections.modbus.mapping import Mapping, project
from bridge.workers.worker import WorkerSpec

NOW_NS = 1_700_000_000_123_000_000
ENERGIES = ("active_energy_import", "active_energy_export", "reactive_energy_import")
ANALOGS = tuple(f"{q}_{p}" for q in ("voltage", "current", "active_power") for p in ("l1", "l2", "l3", "total"))
SERVER = "bridge.projections.modbus.server"


def device(number: int) -> DeviceDef:
    return DeviceDef(
        f"m{number}", "toy", "Toy", "T1", "lan", number, False, Wiring.FOUR_WIRE, Nominal(), {}, "s.yaml:1"
    )


def points_of(number: int, first_index: int, analogs: Sequence[str] = ANALOGS) -> list[PointDef]:
    made: list[PointDef] = []

    def add(name: str, kind: Kind, **more: object) -> None:
        definition = PointDef(first_index + len(made), f"m{number}.{name}", kind, stale_after_ns=10**12)
        made.append(msgspec.structs.replace(definition, **more))

    for name in ENERGIES:
        add(name, Kind.ACCUMULATOR, unit="kWh", resolution=-2, mid=name == "active_energy_import", modulus=0)
    for name in analogs:
        add(name, Kind.ANALOG, unit="V")
    add("phase_loss_l1", Kind.BINARY, role=Role.STATUS)
    add("overload_alarm", Kind.BINARY, role=Role.STATUS)
    add("energy_direction", Kind.MULTISTATE, states=((0, "Import"), (1, "Export")))
    add("reset_demand_peak", Kind.BINARY, role=Role.COMMAND, writable=True)
    add("overload_threshold", Kind.ANALOG, unit="%", role=Role.SETTING, writable=True, low=80.0, high=120.0)
    add("demand_interval", Kind.MULTISTATE, role=Role.SETTING, writable=True, states=((5, "5"), (15, "15")))
    add("serial_number", Kind.TEXT, role=Role.IDENTITY)
    add("demand_peak_timestamp", Kind.TIME)
    return made


def value_of(definition: PointDef) -> float | int | bool | str:
    """A value that differs from point to point; energies beyond 2**53 counts."""
    index = definition.index
    match definition.kind:
        case Kind.ACCUMULATOR:
            return 2**53 + 12_345_679 * index + 1
        case Kind.ANALOG:
            return 230.1 + index / 7
        case Kind.BINARY:
            return index % 2 == 0
        case Kind.MULTISTATE:
            return definition.states[index % 2][0]
        case Kind.TEXT:
            return f"SN-{index:06} \u00e9"
        case Kind.TIME:
            return NOW_NS + index * 10**9


def good(definition: PointDef) -> Sample:
    return Sample(value_of(definition), Quality.GOOD, NOW_NS + definition.index * 1_000_000, 1)


def site(meters: int = 5, analogs: Sequence[str] = ANALOGS) -> SiteFacts:
    points: list[PointDef] = []
    for number in range(1, meters + 1):
        points += points_of(number, len(points), analogs)
    return SiteFacts("tower", points, [device(number) for number in range(1, meters + 1)])


def store_of(facts: SiteFacts) -> PointStore:
    store = PointStore(facts.points, facts.devices)
    store.publish([(d.index, good(d)) for d in facts.points])
    return store


def mapping(port: int = 0, /, **more: object) -> Mapping:
    return msgspec.convert({"listener": {"port": port, "max_clients": 32}, **more}, Mapping)


def projected(facts: SiteFacts, port: int = 0, /, **more: object) -> Projected:
    return project(mapping(port, **more), facts, Ledger())


def spec_of(facts: SiteFacts, port: int, /, **more: object) -> WorkerSpec:
    made = projected(facts, port, **more)
    return WorkerSpec("modbus", SERVER, msgspec.msgpack.encode(made.plan), made.needs)


class FakeEvents:
    """EventStream on which nothing happens."""

    def subscribe(self, deliver: Callable[[Event], None], lost: Callable[[int, int], None]) -> Callable[[], None]:
        del deliver, lost
        return lambda: None
