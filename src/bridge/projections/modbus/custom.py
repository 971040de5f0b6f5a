"""The user's own entries: registers and bits at addresses of a unit id, e.g. the map of a meter that is replaced."""

from collections import defaultdict
from collections.abc import Mapping as ReadOnlyDict

from bridge.core.errors import ProjectionError
from bridge.core.point import Kind, PointDef
from bridge.projections.modbus.formats import Format, encoder, ordered, registers_of
from bridge.projections.modbus.layout import check_formats, default_formats, exact, ratio_of
from bridge.projections.modbus.plan import ADDRESSES, Block, Constant, Field, Item, Place
from bridge.projections.modbus.settings import Access, Entry, Mapping, Table

Path = tuple[str | int, ...]


def entry_blocks(mapping: Mapping, points: ReadOnlyDict[str, PointDef]) -> list[Block]:
    """
    Return one block per unit id that has entries.

    Raises: ProjectionError for an unknown source, a wrong format or an address beyond 65535.
    """
    items: dict[int, list[Item]] = defaultdict(list)
    constants: dict[int, list[Constant]] = defaultdict(list)
    for at, entry in enumerate(mapping.map.entries):
        path: Path = ("map", "entries", at)
        if (entry.constant is None) == (not entry.source):
            raise ProjectionError(path, "expected either `source` or `constant`")
        if entry.constant is not None:
            constants[entry.unit].append(_constant(entry, path))
            continue
        definition = points.get(entry.source)
        if definition is None:
            raise ProjectionError((*path, "source"), f"expected a point of the site, found {entry.source!r}")
        if entry.access is not Access.NONE:
            items[entry.unit].append(_item(entry, definition, mapping, path))
    units = sorted(items.keys() | constants.keys())
    return [_block(mapping.map.name or "own", unit, items[unit], constants[unit]) for unit in units]


def _item(entry: Entry, definition: PointDef, mapping: Mapping, path: Path) -> Item:
    writable = entry.access is Access.READ_WRITE and definition.writable and not definition.mid
    bad = entry.bad or mapping.bad
    if entry.table is not Table.REGISTERS:
        if definition.kind is not Kind.BINARY:
            raise ProjectionError(path, f"{definition.id} is {definition.kind.value}: expected a binary in a bit table")
        state, coil = (entry.address, -1) if entry.table is Table.INPUTS else (-1, entry.address)
        return Item(definition.index, (), state=state, coil=coil, writable=writable, bad=bad)
    form = entry.format or default_formats(definition)[0]
    check_formats(definition, (form,), (*path, "format"))
    registers = registers_of(form, entry.registers)
    _inside(entry.address, registers, path)
    times, over = ratio_of(definition, form, exact(entry.scale))
    field = Field(entry.address, form, registers, times, over, entry.word_order)
    return Item(definition.index, (field,), writable=writable, bad=bad)


def _constant(entry: Entry, path: Path) -> Constant:
    text = isinstance(entry.constant, str)
    form = entry.format or (Format.TEXT if text else Format.UINT16)
    if text != (form is Format.TEXT) or entry.table is not Table.REGISTERS:
        raise ProjectionError((*path, "format"), f"expected a format for {entry.constant!r}, found {form.value}")
    registers = registers_of(form, entry.registers)
    _inside(entry.address, registers, path)
    kind = Kind.TEXT if text else Kind.MULTISTATE
    data = encoder(PointDef(-1, "constant", kind), form, registers, (1, 1))(entry.constant)
    if data is None:
        raise ProjectionError((*path, "constant"), f"expected a number that fits {form.value}, found {entry.constant}")
    return Constant(entry.address, data if text else ordered(data, entry.word_order))


def _inside(address: int, registers: int, path: Path) -> None:
    if address + registers > ADDRESSES:
        raise ProjectionError((*path, "address"), f"expected {registers} registers up to 65535, found {address}")


def _block(name: str, unit: int, items: list[Item], constants: list[Constant]) -> Block:
    ends = [f.address + f.registers for i in items for f in i.fields]
    ends += [c.address + len(c.data) // 2 for c in constants]
    return Block(
        name,
        (Place(unit),),
        max(ends, default=0),
        max((i.state + 1 for i in items), default=0),
        max((i.coil + 1 for i in items), default=0),
        tuple(items),
        tuple(constants),
    )
