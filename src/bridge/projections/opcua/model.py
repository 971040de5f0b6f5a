"""
The nodes of a site, made when somebody asks for them: a campus of 80,000 points keeps names and nothing else.

    /Meters                              folder under Objects
    tenant-1                             object, one per meter, with Manufacturer, Model, ... as properties
    tenant-1.active_energy_import        variable, the count
    tenant-1.active_energy_import.value  the same as a Double, and other suffixes for the properties
    tenant-1.reset_demand_peak.Execute   method of a command
Point names are lower case (core/quantity.py), so what is ours after a dot begins with an upper case letter or stands
behind a point.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from bridge.core.point import DeviceDef, Kind, PointDef, Role, counts_up
from bridge.projections.opcua.nodes import (
    BASE_OBJECT_TYPE,
    FOLDER_TYPE,
    HAS_COMPONENT,
    HAS_NOTIFIER,
    HAS_PROPERTY,
    HAS_TYPE_DEFINITION,
    OBJECTS_FOLDER,
    ORGANIZES,
    SERVER,
    Argument,
    EnumValues,
    Head,
    Localized,
    LocalizedList,
    Node,
    NodeClass,
    Range,
    Reference,
    Static,
    StringList,
    data_type_of,
    rank_of,
)
from bridge.projections.opcua.plan import NAMESPACE, NAMESPACE_INDEX
from bridge.projections.opcua.shape import MULTI_STATE, MULTI_STATE_VALUE, PROPERTY, Shape, shape_of
from bridge.projections.opcua.units import count_units, engineering_units

ROOT = "/Meters"
# Suffixes of a point's own nodes.
VALUE, EXECUTE, INPUT = "value", "Execute", "Execute.InputArguments"
# A slot is two times the index of the point, plus one for the variable beside it.
_TYPE_NAMES = {
    FOLDER_TYPE: ("FolderType", NodeClass.OBJECT_TYPE),
    BASE_OBJECT_TYPE: ("BaseObjectType", NodeClass.OBJECT_TYPE),
    63: ("BaseDataVariableType", NodeClass.VARIABLE_TYPE),
    68: ("PropertyType", NodeClass.VARIABLE_TYPE),
    17497: ("AnalogUnitType", NodeClass.VARIABLE_TYPE),
    2373: ("TwoStateDiscreteType", NodeClass.VARIABLE_TYPE),
    2376: ("MultiStateDiscreteType", NodeClass.VARIABLE_TYPE),
    11238: ("MultiStateValueDiscreteType", NodeClass.VARIABLE_TYPE),
}
_OBJECTS = Head(OBJECTS_FOLDER, NodeClass.OBJECT, 0, "Objects", "Objects", FOLDER_TYPE)
_SERVER = Head(SERVER, NodeClass.OBJECT, 0, "Server", "Server", 2004)
_ROOT = Head(ROOT, NodeClass.OBJECT, NAMESPACE_INDEX, "Meters", "Meters", FOLDER_TYPE)
# Identity points whose text is also a property of the meter object.
_NAMEPLATE = {"SerialNumber": "serial_number", "SoftwareRevision": "firmware_version"}


class Model:
    """Pure and lazy. `definition`: of an index of the site."""

    def __init__(
        self,
        points: Sequence[PointDef],
        devices: Sequence[DeviceDef],
        definition: Callable[[int], PointDef],
        writable: Sequence[int] = (),
        ranges: Mapping[int, tuple[float, float]] | None = None,
    ) -> None:
        self.definition, self._ranges = definition, ranges or {}
        self._writable = frozenset(writable)
        self._devices = {device.id: device for device in devices}
        self.index_of = {point.id: point.index for point in points}
        self._of_device: dict[str, list[int]] = {}
        for point in points:
            self._of_device.setdefault(point.device, []).append(point.index)

    def meters(self) -> list[str]:
        """Devices that show a point, in the order of the site."""
        return list(self._of_device)

    def has_meter(self, name: str) -> bool:
        return name in self._of_device

    def shows(self, index: int) -> bool:
        """Tell whether a point is one of those shown."""
        try:
            return self.definition(index).id in self.index_of
        except KeyError:
            return False

    def identifiers(self) -> Iterator[str]:
        """Every node of ours, parents before children."""
        pending = [ROOT]
        while pending:
            identifier = pending.pop()
            yield identifier
            references = [r for r in self.references(identifier) or () if r.forward and r.type != HAS_NOTIFIER]
            below = [r.target.identifier for r in references]
            pending += [name for name in reversed(below) if isinstance(name, str)]

    def slot(self, identifier: str) -> int | None:
        """Return the slot of a node that shows a sample: a point, what stands beside it, a property of a nameplate."""
        index = self.index_of.get(identifier)
        if index is not None:
            return 2 * index
        device, _, rest = identifier.partition(".")
        if rest in _NAMEPLATE:
            index = self.index_of.get(f"{device}.{_NAMEPLATE[rest]}")
            return None if index is None or self.definition(index).kind is not Kind.TEXT else 2 * index
        name, _, suffix = rest.partition(".")
        index = self.index_of.get(f"{device}.{name}")
        if index is None:
            return None
        companion = _companion(self.definition(index))
        return 2 * index + 1 if companion is not None and companion[0] == suffix else None

    def has(self, identifier: str) -> bool:
        return self.node(identifier) is not None

    def node(self, identifier: str) -> Node | None:
        """Return None for a name that is none of ours."""
        if identifier == ROOT:
            return Node(_ROOT, "The meters of the site")
        device, _, rest = identifier.partition(".")
        if device not in self._of_device or identifier.endswith("."):
            return None
        if not rest:
            facts = self._devices[device]
            return Node(self._meter(device), f"{facts.vendor} {facts.model}, unit {facts.unit_id} on {facts.channel}")
        name, _, suffix = rest.partition(".")
        index = self.index_of.get(f"{device}.{name}")
        if index is None:
            return None if suffix else self._nameplate_node(device, name)
        definition = self.definition(index)
        return self._point_node(definition) if not suffix else self._part(definition, suffix)

    def references(self, identifier: str) -> list[Reference] | None:
        """Return every reference of a node, in both directions; None for a name that is none of ours."""
        node = self.node(identifier)
        if node is None:
            return None
        parent, how = self._parent(identifier)
        found = [Reference(reference, True, head) for reference, head in self._children(identifier)]
        if node.head.type_definition:
            found.append(Reference(HAS_TYPE_DEFINITION, True, _type_head(node.head.type_definition)))
        found.append(Reference(how, False, parent))
        if identifier == ROOT:
            found.append(Reference(HAS_NOTIFIER, False, _SERVER))
        elif identifier in self._of_device:
            found.append(Reference(HAS_NOTIFIER, False, _ROOT))
        return found

    def command_of(self, identifier: str) -> PointDef | None:
        """Return the point that a method commands."""
        point, _, suffix = identifier.rpartition(".")
        index = self.index_of.get(point) if suffix == EXECUTE else None
        if index is None or self.definition(index).role is not Role.COMMAND:
            return None
        return self.definition(index)

    def writable(self, index: int) -> bool:
        return index in self._writable

    def range_of(self, definition: PointDef) -> tuple[float, float] | None:
        """Return EURange: the mapping's, what a scale is drawn with, or the limits; in counts for an accumulator."""
        wanted = self._ranges.get(definition.index)
        if wanted is None and definition.kind is Kind.ACCUMULATOR:
            return (0.0, float(definition.modulus - 1)) if definition.modulus > 1 else None
        if wanted is None and definition.kind is Kind.ANALOG:
            wanted = definition.typical
            if wanted is None and definition.low is not None and definition.high is not None:
                wanted = (definition.low, definition.high)
        return wanted if wanted is not None and wanted[0] < wanted[1] else None

    def _children(self, identifier: str) -> Iterator[tuple[int, Head]]:
        if identifier == ROOT:
            for device in self._of_device:
                yield ORGANIZES, self._meter(device)
                yield HAS_NOTIFIER, self._meter(device)
            return
        device, _, rest = identifier.partition(".")
        if not rest:
            for name in self._nameplate(device):
                yield HAS_PROPERTY, _property_head(f"{device}.{name}", NAMESPACE_INDEX, name)
            for index in self._of_device[device]:
                definition = self.definition(index)
                yield HAS_COMPONENT, _point_head(definition)
                if definition.role is Role.COMMAND:
                    yield HAS_COMPONENT, _method_head(definition)
            return
        name, _, suffix = rest.partition(".")
        index = self.index_of.get(f"{device}.{name}", -1)
        if index < 0:
            return
        definition = self.definition(index)
        for part in self._parts(definition):
            if _above(part) == suffix:
                made = self._part(definition, part)
                assert made is not None
                kind = HAS_COMPONENT if made.head.type_definition not in (PROPERTY, 0) else HAS_PROPERTY
                if made.head.node_class is NodeClass.VARIABLE:
                    yield kind, made.head

    def _parent(self, identifier: str) -> tuple[Head, int]:
        if identifier == ROOT:
            return _OBJECTS, ORGANIZES
        device, _, rest = identifier.partition(".")
        if not rest:
            return _ROOT, ORGANIZES
        name, _, suffix = rest.partition(".")
        index = self.index_of.get(f"{device}.{name}")
        if index is None:
            return self._meter(device), HAS_PROPERTY
        definition = self.definition(index)
        if not suffix or suffix == EXECUTE:
            return self._meter(device), HAS_COMPONENT
        above = _above(suffix)
        parent = self._part(definition, above) if above else self._point_node(definition)
        made = self._part(definition, suffix)
        assert parent is not None
        assert made is not None
        return parent.head, HAS_PROPERTY if made.head.type_definition == PROPERTY else HAS_COMPONENT

    def _meter(self, device: str) -> Head:
        label = self._devices[device].labels.get("label") or device
        return Head(device, NodeClass.OBJECT, NAMESPACE_INDEX, device, label, BASE_OBJECT_TYPE)

    def _nameplate(self, device: str) -> dict[str, Static | None]:
        """Properties of a meter object by browse name; None: the text of an identity point."""
        facts = self._devices[device]
        found: dict[str, Static | None] = {"Manufacturer": Localized(facts.vendor), "Model": Localized(facts.model)}
        for name in _NAMEPLATE:
            if self.slot(f"{device}.{name}") is not None:
                found[name] = None
        found["MidCertified"] = facts.mid
        found["Channel"], found["UnitId"] = facts.channel, facts.unit_id
        if facts.labels:
            found["Labels"] = StringList(tuple(f"{key}={text}" for key, text in facts.labels.items()))
        return found

    def _nameplate_node(self, device: str, name: str) -> Node | None:
        plate = self._nameplate(device)
        if name not in plate:
            return None
        value, head = plate[name], _property_head(f"{device}.{name}", NAMESPACE_INDEX, name)
        if value is None:
            slot = self.slot(f"{device}.{name}")
            assert slot is not None
            return Node(head, data_type=12, slot=slot)
        return _property_node(head, value)

    def _point_node(self, definition: PointDef) -> Node:
        shape = shape_of(definition)
        may = definition.index in self._writable and definition.role is Role.SETTING
        return Node(
            _point_head(definition),
            _described(definition),
            shape.data_type,
            slot=2 * definition.index,
            writable=may,
            historizing=counts_up(definition),
        )

    def _parts(self, definition: PointDef) -> list[str]:
        """Suffixes of what a point has."""
        found: list[str] = []
        ranged = self.range_of(definition) is not None
        if definition.kind in (Kind.ANALOG, Kind.ACCUMULATOR):
            found += ["EngineeringUnits", *(["EURange"] if ranged else [])]
        if definition.kind is Kind.ACCUMULATOR:
            found += ["Resolution", VALUE, f"{VALUE}.EngineeringUnits", *([f"{VALUE}.EURange"] if ranged else [])]
        if definition.kind is Kind.BINARY:
            found += ["FalseState", "TrueState"]
        if definition.kind is Kind.MULTISTATE:
            enumerated = shape_of(definition).type_definition == MULTI_STATE
            found += ["EnumStrings"] if enumerated else ["EnumValues", "ValueAsText"]
        if definition.role is Role.COMMAND:
            found += [EXECUTE, *([INPUT] if definition.kind is not Kind.BINARY else [])]
        return found

    def _part(self, definition: PointDef, suffix: str) -> Node | None:
        if suffix not in self._parts(definition):
            return None
        identifier = f"{definition.id}.{suffix}"
        if suffix == EXECUTE:
            return Node(_method_head(definition), definition.label, writable=definition.index in self._writable)
        companion = _companion(definition)
        if companion is not None and companion[0] == suffix:
            shape, slot = companion[1], 2 * definition.index + 1
            namespace = 0 if shape.type_definition == PROPERTY else NAMESPACE_INDEX
            head = Head(identifier, NodeClass.VARIABLE, namespace, suffix, suffix, shape.type_definition)
            return Node(head, data_type=shape.data_type, slot=slot, historizing=counts_up(definition))
        name = suffix.rpartition(".")[2]
        namespace = NAMESPACE_INDEX if name == "Resolution" else 0
        return _property_node(_property_head(identifier, namespace, name), self._property(definition, suffix))

    def _property(self, definition: PointDef, suffix: str) -> Static:
        texts = dict(definition.states)
        match suffix:
            case "EngineeringUnits" if definition.kind is Kind.ACCUMULATOR:
                return count_units(definition.unit, definition.resolution, NAMESPACE)
            case "EngineeringUnits" | "value.EngineeringUnits":
                return engineering_units(definition.unit, NAMESPACE)
            case "EURange" | "value.EURange":
                low, high = self.range_of(definition) or (0.0, 0.0)
                step = 10.0**definition.resolution if suffix != "EURange" else 1.0
                return Range(low * step, high * step)
            case "Resolution":
                return definition.resolution
            case "FalseState":
                return Localized(texts.get(0, "False"))
            case "TrueState":
                return Localized(texts.get(1, "True"))
            case "EnumStrings":
                return LocalizedList(tuple(texts[code] for code in sorted(texts)))
            case "EnumValues":
                return EnumValues(definition.states)
            case _:
                assert suffix == INPUT
                allowed = ", ".join(f"{code} {text}" for code, text in definition.states)
                return Argument("Value", shape_of(definition).data_type, allowed or definition.unit)


def _companion(definition: PointDef) -> tuple[str, Shape] | None:
    """The suffix and the shape of what stands beside a point."""
    shape = shape_of(definition)
    if shape.companion is None:
        return None
    return ("ValueAsText" if shape.type_definition == MULTI_STATE_VALUE else VALUE), shape.companion


def _above(suffix: str) -> str:
    return suffix.rpartition(".")[0]


def _point_head(definition: PointDef) -> Head:
    label = definition.label or definition.name
    type_definition = shape_of(definition).type_definition
    return Head(definition.id, NodeClass.VARIABLE, NAMESPACE_INDEX, definition.name, label, type_definition)


def _method_head(definition: PointDef) -> Head:
    name = "".join(word.capitalize() for word in definition.name.split("_"))
    return Head(f"{definition.id}.{EXECUTE}", NodeClass.METHOD, NAMESPACE_INDEX, name, definition.label or name, 0)


def _property_head(identifier: str, namespace: int, name: str) -> Head:
    return Head(identifier, NodeClass.VARIABLE, namespace, name, name, PROPERTY)


def _property_node(head: Head, value: Static) -> Node:
    return Node(head, data_type=data_type_of(value), value_rank=rank_of(value), value=value)


def _described(definition: PointDef) -> str:
    if definition.kind is Kind.ACCUMULATOR:
        return f"Count of 10^{definition.resolution} {definition.unit}; exact"
    return f"in {definition.unit}" if definition.unit else ""


def _type_head(type_definition: int) -> Head:
    name, node_class = _TYPE_NAMES[type_definition]
    return Head(type_definition, node_class, 0, name, name, 0)
