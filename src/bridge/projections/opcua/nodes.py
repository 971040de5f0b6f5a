"""What a node of ours is: pure facts, from which the address space, Browse replies and the NodeSet are all made."""

import enum
from dataclasses import dataclass
from typing import NamedTuple

from bridge.projections.opcua.units import EngineeringUnits

# Reference types (OPC 10000-5, 11)
ORGANIZES, HAS_TYPE_DEFINITION, HAS_PROPERTY, HAS_COMPONENT, HAS_NOTIFIER = 35, 40, 46, 47, 48
OBJECTS_FOLDER, SERVER = 85, 2253
FOLDER_TYPE, BASE_OBJECT_TYPE = 61, 58
# Data types of properties
BOOLEAN, INT32, STRING, LOCALIZED_TEXT, RANGE, EU_INFORMATION, ENUM_VALUE, ARGUMENT = 1, 6, 12, 21, 884, 887, 7594, 296
SCALAR, ONE_DIMENSION = -1, 1
NO_SLOT = -1
SUBSCRIBE_TO_EVENTS = 1
CURRENT_READ, CURRENT_WRITE, HISTORY_READ = 1, 2, 4


class NodeClass(enum.IntEnum):
    OBJECT = 1
    VARIABLE = 2
    METHOD = 4
    OBJECT_TYPE = 8
    VARIABLE_TYPE = 16


class Head(NamedTuple):
    """
    What a reference says of its target. `identifier`: str in our namespace, int in namespace 0. `namespace`: of the
    browse name. `type_definition`: in namespace 0, 0 = none.
    """

    identifier: str | int
    node_class: NodeClass
    namespace: int
    name: str
    display: str
    type_definition: int


class Reference(NamedTuple):
    type: int
    forward: bool
    target: Head


@dataclass(frozen=True, slots=True)
class Localized:
    text: str


@dataclass(frozen=True, slots=True)
class Range:
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LocalizedList:
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StringList:
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EnumValues:
    states: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Argument:
    """The one input argument of a command. `data_type`: in namespace 0."""

    name: str
    data_type: int
    description: str


# What a property says; the type says how it is encoded: str String, int Int32, bool Boolean.
Static = str | int | bool | Localized | Range | LocalizedList | StringList | EnumValues | Argument | EngineeringUnits


@dataclass(frozen=True, slots=True)
class Node:
    """
    `slot`: where its value is in the image, NO_SLOT = `value` or none. `writable`: or, for a method, executable.
    `historizing`: whether it is recorded as far as the worker knows; what the site records besides has a past as well.
    """

    head: Head
    description: str = ""
    data_type: int = 0
    value_rank: int = SCALAR
    slot: int = NO_SLOT
    value: Static | None = None
    writable: bool = False
    historizing: bool = False


def access_of(node: Node) -> int:
    """Return AccessLevel (OPC 10000-3, 8.57): what shows a sample has a past."""
    return CURRENT_READ | (CURRENT_WRITE if node.writable else 0) | (HISTORY_READ if node.slot != NO_SLOT else 0)


def data_type_of(value: Static) -> int:
    """Return the data type of a property."""
    match value:
        case bool():
            return BOOLEAN
        case int():
            return INT32
        case str() | StringList():
            return STRING
        case Localized() | LocalizedList():
            return LOCALIZED_TEXT
        case Range():
            return RANGE
        case EnumValues():
            return ENUM_VALUE
        case Argument():
            return ARGUMENT
        case EngineeringUnits():
            return EU_INFORMATION


def rank_of(value: Static) -> int:
    return ONE_DIMENSION if isinstance(value, LocalizedList | StringList | EnumValues | Argument) else SCALAR
