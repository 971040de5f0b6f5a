"""modbus.yaml -> the plan: which registers show which points."""

from collections.abc import Iterator

from bridge.core.errors import ProjectionError
from bridge.core.point import PointDef
from bridge.core.ports import Grant, Needs, Numbers, Projected, SiteFacts
from bridge.projections.modbus.custom import entry_blocks
from bridge.projections.modbus.formats import Format
from bridge.projections.modbus.layout import Choice, Chooser, device_block, unit_of
from bridge.projections.modbus.plan import Block, Identity, Place, Plan
from bridge.projections.modbus.serial_plan import serial_plans
from bridge.projections.modbus.settings import MapMode, Mapping

__all__ = ["Mapping", "Plan", "project"]


def project(mapping: Mapping, site: SiteFacts, numbers: Numbers) -> Projected:
    """
    Resolve every address. The ledger is asked in the order of the site, so that the first run is reproducible.

    Raises: ProjectionError with the path inside the mapping.
    """
    points = {definition.id: definition for definition in site.points}
    _known(mapping, points, {device.id for device in site.devices})
    mode, blocks = mapping.map.mode, list[Block]()
    if mode in (MapMode.DEFAULT, MapMode.MODIFIED):
        chooser = Chooser(mapping)
        chosen: dict[str, list[Choice]] = {device.id: [] for device in site.devices}
        for definition in site.points:
            choice = chooser.choose(definition)
            if choice is not None:
                chosen.setdefault(definition.device, []).append(choice)
        if mapping.meters_per_unit == 1:
            for device in mapping.units:
                # pins first: the ledger takes no number back
                unit_of(device, mapping, numbers)
        blocks += [device_block(device, choices, mapping, numbers) for device, choices in chosen.items() if choices]
    if mode in (MapMode.MODIFIED, MapMode.CUSTOM):
        own = entry_blocks(mapping, points)
        _apart(mapping, blocks, own)
        blocks += own
    elif mapping.map.entries:
        raise ProjectionError(("map", "entries"), f"expected mode modified or custom, found {mode.value}")
    names = mapping.identity
    identity = Identity(
        vendor=names.vendor,
        product=names.product,
        url=names.url,
        name=names.name,
        model=mapping.map.name or names.model,
        application=_printable(site.name),
    )
    shown = {place.unit for block in blocks for place in block.places}
    plan = Plan(
        listener=mapping.listener,
        identity=identity,
        blocks=tuple(blocks),
        holes=mapping.holes,
        write_timeout_s=mapping.write_timeout_s,
        serial=tuple(serial_plans(mapping, site, shown)),
    )
    items = [item for block in blocks for item in block.items]
    grants = Grant.COMMANDS if any(item.writable for item in items) else Grant.NOTHING
    needs = Needs(frozenset(item.index for item in items), grants)
    return Projected(plan, needs, (mapping.listener,), tries=tuple(_tries(blocks)))


def _tries(blocks: list[Block]) -> Iterator[str]:
    """Yield a read of the first float a person will understand; mbpoll swaps words (-B) to our high word first."""
    for block in blocks:
        for item in block.items:
            for field in item.fields:
                if field.format is Format.FLOAT32:
                    place = block.places[0]
                    address = place.registers + field.address
                    yield f"mbpoll -m tcp -p {{port}} -a {place.unit} -0 -r {address} -c 4 -t 4:float -B -1 {{host}}"
                    return


def _known(mapping: Mapping, points: dict[str, PointDef], devices: set[str]) -> None:
    for point_id in mapping.overrides:
        if point_id not in points:
            raise ProjectionError(("overrides", point_id), "expected a point of the site")
    if mapping.units and mapping.meters_per_unit > 1:
        raise ProjectionError(("units",), "expected no pinned unit ids with meters_per_unit above 1")
    for key, named in (("units", mapping.units), ("blocks", mapping.blocks)):
        for device in named:
            if device not in devices:
                raise ProjectionError((key, device), "expected a device of the site")


def _apart(mapping: Mapping, built_in: list[Block], own: list[Block]) -> None:
    """An entry may stand where the built-in map has nothing, and not on another entry."""
    taken: dict[tuple[int, str], list[tuple[int, int, str]]] = {}
    for block in built_in:
        for place in block.places:
            for table, start, count in _extent(block, place):
                taken.setdefault((place.unit, table), []).append((start, start + count, block.name))
    for at, entry in enumerate(mapping.map.entries):
        table = entry.table.value
        end = entry.address + (_width(own, entry.unit, entry.address) if table == "registers" else 1)
        theirs = taken.setdefault((entry.unit, table), [])
        for start, stop, owner in theirs:
            if entry.address < stop and start < end:
                raise ProjectionError(
                    ("map", "entries", at, "address"), f"{entry.address} of unit {entry.unit} belongs to {owner}"
                )
        theirs.append((entry.address, end, f"entry {at}"))


def _extent(block: Block, place: Place) -> list[tuple[str, int, int]]:
    return [
        ("registers", place.registers, block.registers),
        ("inputs", place.inputs, block.inputs),
        ("coils", place.coils, block.coils),
    ]


def _width(own: list[Block], unit: int, address: int) -> int:
    for block in own:
        if block.places[0].unit == unit:
            widths = [f.registers for i in block.items for f in i.fields if f.address == address]
            widths += [len(c.data) // 2 for c in block.constants if c.address == address]
            return max(widths, default=1)
    return 1


def _printable(name: str) -> str:
    """Names go out as ASCII (Modbus Application Protocol V1.1b3, 6.21)."""
    return "".join(c if " " <= c <= "~" else "?" for c in name)[:32]
