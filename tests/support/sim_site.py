"""Sites built by hand for the simulator's tests."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import msgspec

from bridge.config.access import AccessFile
from bridge.config.marked import Marked
from bridge.config.meter import Certainty, PfSign, PollClass, RegisterType, Table, WordOrder
from bridge.config.model import DeviceLimits, FieldDevice, FieldPoint, Register, SiteConfig, WriteTo
from bridge.config.services import ServicesFile
from bridge.config.site import Channel, Device, RtuChannel, SiteFile, SiteKey, TcpChannel
from bridge.core.point import DeviceDef, Kind, Nominal, PointDef, Role, Wiring
from bridge.core.quantity import meaning_of

WIDTH = {
    RegisterType.UINT32: 2,
    RegisterType.INT32: 2,
    RegisterType.FLOAT32: 2,
    RegisterType.UM10K: 2,
    RegisterType.M10K: 2,
    RegisterType.UNIX_TIME: 2,
    RegisterType.UINT64: 4,
    RegisterType.INT64: 4,
    RegisterType.FLOAT64: 4,
    RegisterType.DATETIME4: 4,
}


def register(
    address: int,
    kind: RegisterType = RegisterType.FLOAT32,
    *,
    table: Table = Table.HOLDING,
    count: int = 0,
    order: WordOrder = WordOrder.ABCD,
    scale: Fraction = Fraction(1),
    counts: Fraction = Fraction(1),
    bit: int | None = None,
    scale_at: int | None = None,
    inverted: bool = False,
) -> Register:
    return Register(
        table,
        address,
        count or WIDTH.get(kind, 1),
        kind,
        order,
        bit,
        scale,
        counts=counts,
        scale_at=scale_at,
        inverted=inverted,
    )


def point(
    name: str,
    read: Register | None,
    *,
    kind: Kind = Kind.ANALOG,
    unit: str = "",
    resolution: int = 0,
    modulus: int = 0,
    states: tuple[tuple[int, str], ...] = (),
    write: WriteTo | None = None,
    role: Role = Role.MEASUREMENT,
) -> FieldPoint:
    definition = PointDef(
        0,
        f"dev.{name}",
        kind,
        unit,
        meaning=meaning_of(name),
        resolution=resolution,
        modulus=modulus,
        states=states,
        writable=write is not None,
        role=role,
    )
    return FieldPoint(definition, read, PollClass.NORMAL, Certainty.CERTAIN, write)


def energy(name: str, address: int, kind: RegisterType = RegisterType.UINT32, modulus: int = 100_000_000) -> FieldPoint:
    """An energy index in kWh with steps of 10 Wh; in a float register as kWh, else as counts."""
    counts = Fraction(100) if kind in (RegisterType.FLOAT32, RegisterType.FLOAT64) else Fraction(1)
    return point(
        name,
        register(address, kind, counts=counts),
        kind=Kind.ACCUMULATOR,
        unit="kWh",
        resolution=-2,
        modulus=modulus,
    )


def usual_points() -> list[FieldPoint]:
    """A small three-phase meter: far blocks, floats, scaled integers, an index, a state, texts, a setting."""
    command = WriteTo(register(4000, RegisterType.UINT16), (16,), values=(1.0,))
    setting = register(4010, RegisterType.UINT16)
    return [
        *(point(f"voltage_l{n}_n", register(100 + 2 * n), unit="V") for n in (1, 2, 3)),
        *(point(f"current_l{n}", register(110 + 2 * n), unit="A") for n in (1, 2, 3)),
        *(point(f"active_power_l{n}", register(120 + 2 * n), unit="kW") for n in (1, 2, 3)),
        point("active_power_total", register(128), unit="kW"),
        point("reactive_power_total", register(130), unit="kvar"),
        point("apparent_power_total", register(132), unit="kVA"),
        point("power_factor_total", register(140, RegisterType.INT16, scale=Fraction(1, 1000))),
        point("frequency", register(141, RegisterType.UINT16, scale=Fraction(1, 100)), unit="Hz"),
        energy("active_energy_import", 3000),
        energy("active_energy_export", 3002),
        energy("active_energy_import_l1", 3004, RegisterType.FLOAT64),
        point("demand_peak_timestamp", register(3010, RegisterType.DATETIME4), kind=Kind.TIME),
        point("demand_peak_current", register(3014), unit="kW"),
        point(
            "communication_status",
            register(3020, RegisterType.UINT16),
            kind=Kind.MULTISTATE,
            states=((0, "offline"), (1, "online")),
        ),
        point("phase_loss_l1", register(3021, RegisterType.BOOL, bit=3), kind=Kind.BINARY),
        point("tamper_alarm", register(3021, RegisterType.BOOL, bit=0), kind=Kind.BINARY),
        point("vendor", register(3030, RegisterType.STRING, count=8), kind=Kind.TEXT),
        point("digital_input_1", register(7, RegisterType.BOOL, table=Table.DISCRETE_INPUT), kind=Kind.BINARY),
        point("reset_demand_peak", None, write=command, role=Role.COMMAND),
        point("demand_interval", setting, unit="min", write=WriteTo(setting, (6, 16), 1, 60), role=Role.SETTING),
    ]


def device(
    name: str = "dev",
    channel: str = "line",
    unit_id: int = 1,
    points: Iterable[FieldPoint] | None = None,
    *,
    wiring: Wiring = Wiring.FOUR_WIRE,
    max_gap: int = 10,
    timeout_s: float = 0.2,
    turnaround_s: float = 0.01,
    serial: Register | None = None,
) -> FieldDevice:
    definition = DeviceDef(
        name, "toy", "ACME", "T1", channel, unit_id, False, wiring, Nominal(230.0, 63.0, 50.0), {}, "site.yaml:1"
    )
    own = [
        FieldPoint(
            msgspec.structs.replace(p.definition, id=f"{name}.{p.definition.name}"),
            p.read,
            p.poll,
            p.certainty,
            p.write,
        )
        for p in (usual_points() if points is None else points)
    ]
    limits = DeviceLimits(125, max_gap, ((3016, 3017),), timeout_s, 0.0, turnaround_s, PfSign.IEC)
    return FieldDevice(definition, limits, tuple(own), {PollClass.NORMAL: 10_000_000_000}, serial)


def rtu(baud: int = 9600) -> Channel:
    return RtuChannel(port="/dev/none", baud=baud)  # type: ignore[arg-type]


def tcp() -> Channel:
    return TcpChannel(host="192.0.2.1")


def site(devices: Iterable[FieldDevice], channels: dict[str, Channel] | None = None) -> SiteConfig:
    found = {"line": rtu(), "lan": tcp()} if channels is None else channels
    fields = tuple(devices)
    file = SiteFile(
        site=SiteKey(name="test"),
        channels=found,
        devices={d.definition.id: Device(meter="toy", channel=d.definition.channel) for d in fields},
    )
    return SiteConfig(file, Marked("site.yaml"), Path(), Path(), found, fields, (), ServicesFile(), AccessFile())
