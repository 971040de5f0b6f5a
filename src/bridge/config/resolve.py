"""A meter file -> the facts of all its points, resolved once for every device of that meter."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.config.addresses import register_count, wire_address
from bridge.config.faults import Faults, Wrong
from bridge.config.marked import Path
from bridge.config.meter import MeterFile, Table
from bridge.config.meters import Meter
from bridge.config.model import Register, Signature
from bridge.config.overlaps import overlapping
from bridge.config.points import Facts, point_facts


@dataclass(frozen=True, slots=True)
class MeterFacts:
    """A meter file resolved once, for all its devices."""

    meter: Meter
    points: Mapping[str, Facts]
    serial: Register | None
    signatures: tuple[Signature, ...]
    forbidden: tuple[tuple[int, int], ...]
    # no mistake in the file: what a device says about its points can be judged
    sound: bool
    # devices with equal settings share their points
    shared: dict[object, tuple[Facts, ...]] = field(default_factory=dict)

    def stated_mid(self, model: str) -> bool | None:
        """Tell whether a model is a MID meter; None where the file leaves it to the device's nameplate."""
        stated = self.meter.marked.has(("models", model, "mid"))
        return self.meter.file.models[model].mid if stated else None


def meter_facts(meter: Meter, faults: Faults) -> MeterFacts:
    """Resolve every point of a meter file, whatever the wiring of its devices; note every mistake."""
    file, marked = meter.file, meter.marked
    before = len(faults.errors)
    points: dict[str, Facts] = {}
    for name, point in file.points.items():
        path: Path = ("points", name)
        raw = marked.data["points"][name]
        given = frozenset(raw) if isinstance(raw, dict) else frozenset[str]()
        try:
            points[name] = point_facts(name, point, file, given, marked.place(path))
        except Wrong as exc:
            faults.at(marked, (*path, exc.key) if exc.key else path, exc.message)
    for name, message in overlapping(points.values()):
        faults.at(marked, ("points", name, "at"), message)
    if not marked.data["points"]:
        faults.at(marked, ("points",), "expected at least one point, found none")
    serial, forbidden = _serial(meter, faults), _forbidden(meter, faults)
    sound = len(faults.errors) == before and len(points) == len(marked.data["points"])
    return MeterFacts(meter, points, serial, signatures_of(file), forbidden, sound)


def signatures_of(file: MeterFile) -> tuple[Signature, ...]:
    """Return what identifies the meters of a file; its addresses are wire addresses whatever the file's addressing."""
    listed = file.identify if isinstance(file.identify, tuple) else (file.identify,) if file.identify else ()
    found = []
    for one in listed:
        register = Register(Table(one.function), one.address, one.registers, one.type, file.modbus.word_order)
        text = one.startswith if one.equals is None else str(one.equals)
        found.append(Signature(register, text or "", one.equals is not None))
    return tuple(found)


def _serial(meter: Meter, faults: Faults) -> Register | None:
    serial, modbus = meter.file.serial_number, meter.file.modbus
    if serial is None:
        return None
    try:
        table, address = wire_address(serial.at, modbus.addressing, modbus.table)
        count = register_count(serial.type, serial.registers, table, address)
    except Wrong as exc:
        faults.at(meter.marked, ("serial_number", exc.key), exc.message)
        return None
    return Register(table, address, count, serial.type, modbus.word_order)


def _forbidden(meter: Meter, faults: Faults) -> tuple[tuple[int, int], ...]:
    modbus = meter.file.modbus
    ranges: list[tuple[int, int]] = []
    for i, pair in enumerate(modbus.forbidden):
        try:
            first, last = (wire_address(at, modbus.addressing, modbus.table, "")[1] for at in pair)
        except Wrong as exc:
            faults.at(meter.marked, ("modbus", "forbidden", i), exc.message)
            continue
        if first > last:
            faults.at(meter.marked, ("modbus", "forbidden", i), f"expected the lower address first, found {pair}")
        ranges.append((first, last))
    return tuple(ranges)
