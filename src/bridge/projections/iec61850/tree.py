"""The model read from a CID: immutable, without references to XML or to C. Nodes share the sub-trees of one type."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

# IEC 61850-7-2 functional constraints -> libiec61850 ordinals.
_FC_NAMES: Final = (
    "ST", "MX", "SP", "SV", "CF", "DC", "SG", "SE", "SR", "OR", "BL", "EX", "CO", "US", "MS", "RP", "BR", "LG", "GO",
)  # fmt: skip
FC: Final = {name: ordinal for ordinal, name in enumerate(_FC_NAMES)}
# SCL basic types -> libiec61850 ordinals. Types that are absent here are refused.
B_TYPE: Final = {
    "BOOLEAN": 0, "INT8": 1, "INT16": 2, "INT32": 3, "INT64": 4, "INT8U": 6, "INT16U": 7, "INT24U": 8, "INT32U": 9,
    "FLOAT32": 10, "FLOAT64": 11, "Enum": 12, "Octet64": 13, "VisString32": 16, "VisString64": 17, "VisString65": 18,
    "VisString129": 19, "ObjRef": 19, "VisString255": 20, "Unicode255": 21, "Timestamp": 22, "Quality": 23, "Check": 24,
    "Dbpos": 25, "Tcmd": 25, "Struct": 27, "EntryTime": 28,
}  # fmt: skip
INTEGER_RANGE: Final = {
    "INT8": (-(1 << 7), (1 << 7) - 1),
    "INT16": (-(1 << 15), (1 << 15) - 1),
    "INT32": (-(1 << 31), (1 << 31) - 1),
    "INT64": (-(1 << 63), (1 << 63) - 1),
    "INT8U": (0, (1 << 8) - 1),
    "INT16U": (0, (1 << 16) - 1),
    "INT24U": (0, (1 << 24) - 1),
    "INT32U": (0, (1 << 32) - 1),
}
UNSIGNED: Final = frozenset(name for name, (low, _) in INTEGER_RANGE.items() if low == 0)
STRING_LIMIT: Final = {
    "VisString32": 32, "VisString64": 64, "VisString65": 65, "VisString129": 129, "ObjRef": 129, "VisString255": 255,
    "Unicode255": 255,
}  # fmt: skip

Value = bool | int | float | str
NO_ENUM: Final[Mapping[str, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Attribute:
    """
    A data attribute; with `children` a structure.

    `triggers`: 1 data change, 2 quality change, 4 data update. `enum`: text -> ordinal.
    """

    name: str
    fc: str
    b_type: str
    triggers: int = 0
    children: tuple["Attribute", ...] = ()
    value: Value | None = None
    s_addr: str | None = None
    enum: Mapping[str, int] = field(default_factory=lambda: NO_ENUM)


@dataclass(frozen=True, slots=True)
class DataObject:
    name: str
    cdc: str
    objects: tuple["DataObject", ...]
    attributes: tuple[Attribute, ...]

    def attribute(self, name: str) -> Attribute | None:
        return next((item for item in self.attributes if item.name == name), None)


@dataclass(frozen=True, slots=True)
class DataSet:
    """`members`: "MMXU1$MX$TotW", with "M2/" in front where the member lies in another logical device."""

    name: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """`triggers`: 1 dchg, 2 qchg, 4 dupd, 8 integrity, 16 GI. `options`: the OptFlds bits of libiec61850."""

    name: str
    report_id: str | None
    buffered: bool
    data_set: str
    conf_rev: int
    triggers: int
    options: int
    buffer_time_ms: int
    integrity_period_ms: int


@dataclass(frozen=True, slots=True)
class LogicalNode:
    name: str
    ln_class: str
    objects: tuple[DataObject, ...]
    data_sets: tuple[DataSet, ...] = ()
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class LogicalDevice:
    inst: str
    nodes: tuple[LogicalNode, ...]


@dataclass(frozen=True, slots=True)
class Binding:
    """
    A leaf that a point feeds. `object` is "M1/MMXU1.A.phsA" (q and t are its children), `leaf` "cVal.mag.f".

    `control`: the model of a controllable object that commands the same point, else None. `health_of`: the device whose
    health it shows instead of a point.
    """

    point: str
    device: str
    object: str
    leaf: str
    b_type: str
    ordinals: frozenset[int]
    control: str | None
    health_of: str = ""


@dataclass(frozen=True, slots=True)
class Model:
    ied: str
    devices: tuple[LogicalDevice, ...]
    bindings: tuple[Binding, ...]
    addresses: Mapping[str, str] = field(default_factory=dict)


def find(objects: tuple[DataObject, ...], path: list[str]) -> DataObject | None:
    """Follow data object names, outermost first."""
    found: DataObject | None = None
    for name in path:
        found = next((item for item in objects if item.name == name), None)
        if found is None:
            return None
        objects = found.objects
    return found


def leaves(attributes: tuple[Attribute, ...], prefix: str = "") -> Iterator[tuple[str, Attribute]]:
    """Yield ("cVal.mag.f", attribute) for every attribute that holds a value."""
    for item in attributes:
        path = f"{prefix}{item.name}"
        if item.children:
            yield from leaves(item.children, f"{path}.")
        else:
            yield path, item


def has_fc(item: DataObject, fc: str) -> bool:
    """Tell whether the object or one of its parts has an attribute of this functional constraint."""
    return any(a.fc == fc for a in item.attributes) or any(has_fc(sub, fc) for sub in item.objects)
