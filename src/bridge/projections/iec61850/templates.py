"""
DataTypeTemplates -> shared sub-trees.

Each type is resolved once; a node gets its own copy only where an instance says more.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from bridge.projections.iec61850.sclxml import Element, Faults, children, local
from bridge.projections.iec61850.tree import (
    B_TYPE,
    FC,
    INTEGER_RANGE,
    NO_ENUM,
    STRING_LIMIT,
    Attribute,
    DataObject,
    Value,
)

# IEC 61850-7-3 allows one level of sub data objects and few of structures; deeper is a loop or an attack.
_DEPTH_LIMIT: Final = 8
_TRIGGER: Final = (("dchg", 1), ("qchg", 2), ("dupd", 4))


class Templates:
    """The type library of one CID. Every fault goes to `faults`, never out as an exception."""

    def __init__(self, root: Element, faults: Faults) -> None:
        self._faults = faults
        sections = children(root, "DataTypeTemplates")
        if len(sections) != 1:
            faults.add(root, f"expected one DataTypeTemplates, found {len(sections)}")
        self._types: dict[str, dict[str, Element]] = {}
        for kind in ("LNodeType", "DOType", "DAType", "EnumType"):
            known = self._types.setdefault(kind, {})
            for element in (child for section in sections for child in children(section, kind)):
                name = faults.text(element, "id")
                if name in known:
                    faults.add(element, f"{kind} {name} is defined twice")
                known[name] = element
        self._enums = {name: self._enum(element) for name, element in self._types["EnumType"].items()}
        self._nodes: dict[str, tuple[DataObject, ...]] = {}
        self._objects: dict[str, DataObject] = {}
        # every type is resolved, used or not: a fault hidden in an unused one is a fault of the file
        for name, element in self._types["DOType"].items():
            self._object(element, name, name, 0)
        for name, element in self._types["DAType"].items():
            self._structure(element, name, "ST", 0, 0)
        for name, element in self._types["LNodeType"].items():
            self._node(element, name)

    def node(self, user: Element, type_name: str, ln_class: str) -> tuple[DataObject, ...]:
        """Return the data objects of an LNodeType."""
        element = self._types["LNodeType"].get(type_name)
        if element is None:
            self._faults.add(user, f"lnType {type_name!r} is not defined")
            return ()
        if element.get("lnClass") != ln_class:
            self._faults.add(user, f"lnType {type_name!r} is for {element.get('lnClass')}, not {ln_class}")
        return self._nodes[type_name]

    def overlay(self, item: DataObject, instance: Element) -> DataObject:
        """Put the values and short addresses of a DOI or SDI over an object."""
        objects = {sub.name: sub for sub in item.objects}
        attributes = {sub.name: sub for sub in item.attributes}
        for child in children(instance, "SDI", "DAI"):
            name = self._faults.text(child, "name")
            if name in objects and local(child) == "SDI":
                objects[name] = self.overlay(objects[name], child)
            elif name in attributes:
                attributes[name] = self._overlay_attribute(attributes[name], child)
            else:
                self._faults.add(child, f"{local(child)} {name!r} is not part of {item.name}")
        return replace(item, objects=tuple(objects.values()), attributes=tuple(attributes.values()))

    def _overlay_attribute(self, item: Attribute, instance: Element) -> Attribute:
        if local(instance) == "SDI":
            parts = {part.name: part for part in item.children}
            for child in children(instance, "SDI", "DAI"):
                name = self._faults.text(child, "name")
                if name in parts:
                    parts[name] = self._overlay_attribute(parts[name], child)
                else:
                    self._faults.add(child, f"{local(child)} {name!r} is not part of {item.name}")
            return replace(item, children=tuple(parts.values()))
        if item.children:
            self._faults.add(instance, f"DAI {item.name!r} is a structure and needs an SDI")
            return item
        value = self._value(instance, item.b_type, item.enum)
        return replace(item, value=item.value if value is None else value, s_addr=instance.get("sAddr") or item.s_addr)

    def _enum(self, element: Element) -> Mapping[str, int]:
        texts: dict[str, int] = {}
        for value in children(element, "EnumVal"):
            ordinal = self._faults.number(value, "ord", None, -128, 127)
            text = (value.text or "").strip()
            if text in texts or ordinal in texts.values():
                self._faults.add(value, f"EnumType {element.get('id')}: {text!r} or {ordinal} comes twice")
            texts[text] = ordinal
        return MappingProxyType(texts)

    def _node(self, element: Element, name: str) -> None:
        found: dict[str, DataObject] = {}
        for do in children(element, "DO"):
            do_name = self._faults.text(do, "name")
            if do_name in found:
                self._faults.add(do, f"LNodeType {name}: DO {do_name} comes twice")
            resolved = self._object_named(do, do_name)
            if resolved is not None:
                found[do_name] = resolved
        self._nodes[name] = tuple(found.values())

    def _object_named(self, user: Element, name: str, depth: int = 0) -> DataObject | None:
        type_name = self._faults.text(user, "type")
        element = self._types["DOType"].get(type_name)
        if element is None:
            self._faults.add(user, f"{local(user)} {name}: DOType {type_name!r} is not defined")
            return None
        known = self._objects.get(type_name) or self._object(element, type_name, name, depth)
        return known if known.name == name else replace(known, name=name)

    def _object(self, element: Element, type_name: str, name: str, depth: int) -> DataObject:
        if type_name in self._objects:
            return self._objects[type_name]
        objects: dict[str, DataObject] = {}
        attributes: dict[str, Attribute] = {}
        if depth > _DEPTH_LIMIT:
            self._faults.add(element, f"DOType {type_name} contains itself")
            return DataObject(name, "", (), ())
        for child in children(element, "SDO", "DA"):
            child_name = self._faults.text(child, "name")
            if child_name in objects or child_name in attributes:
                self._faults.add(child, f"DOType {type_name}: {child_name} comes twice")
            if local(child) == "SDO":
                sub = self._object_named(child, child_name, depth + 1)
                if sub is not None:
                    objects[child_name] = sub
                continue
            fc = self._faults.text(child, "fc")
            if fc not in FC:
                self._faults.add(child, f"DA {child_name}: functional constraint {fc!r} is not known")
            triggers = sum(bit for key, bit in _TRIGGER if self._faults.flag(child, key))
            attributes[child_name] = self._attribute(child, child_name, fc, triggers, 0)
        cdc = self._faults.text(element, "cdc")
        self._objects[type_name] = DataObject(name, cdc, tuple(objects.values()), tuple(attributes.values()))
        return self._objects[type_name]

    def _structure(self, element: Element, type_name: str, fc: str, triggers: int, depth: int) -> tuple[Attribute, ...]:
        if depth > _DEPTH_LIMIT:
            self._faults.add(element, f"DAType {type_name} contains itself")
            return ()
        parts: dict[str, Attribute] = {}
        for child in children(element, "BDA"):
            name = self._faults.text(child, "name")
            if name in parts:
                self._faults.add(child, f"DAType {type_name}: {name} comes twice")
            parts[name] = self._attribute(child, name, fc, triggers, depth + 1)
        if not parts:
            self._faults.add(element, f"DAType {type_name} is empty")
        return tuple(parts.values())

    def _attribute(self, element: Element, name: str, fc: str, triggers: int, depth: int) -> Attribute:
        b_type = self._faults.text(element, "bType")
        if b_type not in B_TYPE:
            self._faults.add(element, f"{name}: bType {b_type!r} is not served")
        if element.get("count", "0") != "0":
            self._faults.add(element, f"{name}: arrays are not served")
        if b_type == "Struct":
            type_name = self._faults.text(element, "type")
            target = self._types["DAType"].get(type_name)
            if target is None:
                self._faults.add(element, f"{name}: DAType {type_name!r} is not defined")
                return Attribute(name, fc, b_type, triggers)
            return Attribute(name, fc, b_type, triggers, self._structure(target, type_name, fc, triggers, depth))
        enum = NO_ENUM
        if b_type == "Enum":
            type_name = self._faults.text(element, "type")
            if type_name not in self._enums:
                self._faults.add(element, f"{name}: EnumType {type_name!r} is not defined")
            enum = self._enums.get(type_name, NO_ENUM)
        value = self._value(element, b_type, enum)
        return Attribute(name, fc, b_type, triggers, (), value, element.get("sAddr"), enum)

    def _value(self, element: Element, b_type: str, texts: Mapping[str, int]) -> Value | None:
        found = children(element, "Val")
        if len(found) > 1:
            self._faults.add(found[1], "more than one Val (setting groups are not served)")
        if not found:
            return None
        text = (found[0].text or "").strip()
        try:
            return parse_value(text, b_type, texts)
        except ValueError as error:
            self._faults.add(found[0], f"Val of {element.get('name')}: {error}")
            return None


def parse_value(text: str, b_type: str, texts: Mapping[str, int]) -> Value:
    """Read the text of a Val. Raises: ValueError saying what was expected."""
    if b_type == "Enum":
        if text not in texts:
            raise ValueError(f"{text!r} is not in its EnumType")
        return texts[text]
    if b_type in INTEGER_RANGE:
        low, high = INTEGER_RANGE[b_type]
        if len(text) > 20 or not low <= int(text) <= high:
            raise ValueError(f"expected {low} to {high}, got {text!r}")
        return int(text)
    if b_type in STRING_LIMIT:
        if len(text.encode()) > STRING_LIMIT[b_type]:
            raise ValueError(f"longer than {STRING_LIMIT[b_type]} octets")
        return text
    if b_type == "BOOLEAN" and text in ("true", "false", "1", "0"):
        return text in ("true", "1")
    if b_type == "FLOAT32" and math.isfinite(float(text)):
        return float(text)
    raise ValueError(f"{text!r} is no value for {b_type}")
