"""
The immutable model -> a dynamic model of libiec61850, and the handles of what changes at run time.

The handles are valid until `close`; nobody may use them after it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bridge.projections.iec61850.lib61850 import Functions, Handle, LibraryError, made
from bridge.projections.iec61850.listeners import watches
from bridge.projections.iec61850.tree import (
    B_TYPE,
    FC,
    UNSIGNED,
    Attribute,
    Binding,
    DataObject,
    LogicalNode,
    Model,
    Value,
)

_NO_INDEX: Final = -1


@dataclass(frozen=True, slots=True)
class Leaf:
    """The three handles that are written together."""

    value: Handle
    quality: Handle
    time: Handle


@dataclass(frozen=True, slots=True)
class MadeSet:
    """A data set and the members it was made of. `watched`: a report block always looks for them."""

    handle: Handle
    members: tuple[str, ...]
    watched: bool


class DynamicModel:
    """Leaves and controls by binding and object path. `watched_blocks`: report blocks that always look for changes."""

    def __init__(self, library: Functions, model: Model) -> None:
        """Raises: LibraryError; nothing stays allocated then."""
        self._library = library
        self.handle: Handle = made(library.IedModel_create(model.ied.encode()), "IedModel")
        self.leaves: dict[Binding, Leaf] = {}
        self.controls: dict[str, Handle] = {}
        self.watched_blocks: set[Handle] = set()
        self.data_sets: list[MadeSet] = []
        wanted: dict[str, list[Binding]] = {}
        for binding in model.bindings:
            wanted.setdefault(binding.object, []).append(binding)
        self._wanted = wanted
        try:
            for device in model.devices:
                device_handle = made(library.LogicalDevice_create(device.inst.encode(), self.handle), device.inst)
                for node in device.nodes:
                    self._node(device_handle, f"{device.inst}/{node.name}", node)
        except BaseException:
            self.close()
            raise

    @property
    def members_most(self) -> int:
        """Members of the largest data set."""
        return max((len(one.members) for one in self.data_sets), default=0)

    def close(self) -> None:
        """Free the C model. The server that uses it must be destroyed before."""
        handle, self.handle = self.handle, 0
        if handle:
            self._library.IedModel_destroy(handle)

    def _node(self, device: Handle, path: str, node: LogicalNode) -> None:
        library = self._library
        handle = made(library.LogicalNode_create(node.name.encode(), device), path)
        for item in node.objects:
            self._object(handle, f"{path}.{item.name}", item)
        for data_set in node.data_sets:
            target = made(library.DataSet_create(data_set.name.encode(), handle), data_set.name)
            for member in data_set.members:
                made(library.DataSetEntry_create(target, member.encode(), _NO_INDEX, None), member)
            watched = any(block.data_set == data_set.name and watches(block) for block in node.reports)
            self.data_sets.append(MadeSet(target, data_set.members, watched))
        for block in node.reports:
            block_handle = made(
                library.ReportControlBlock_create(
                    block.name.encode(), handle, block.report_id.encode() if block.report_id else None, block.buffered,
                    block.data_set.encode(), block.conf_rev, block.triggers, block.options, block.buffer_time_ms,
                    block.integrity_period_ms,
                ),
                block.name,
            )  # fmt: skip
            if watches(block):
                self.watched_blocks.add(block_handle)

    def _object(self, parent: Handle, path: str, item: DataObject) -> None:
        handle = made(self._library.DataObject_create(item.name.encode(), parent, 0), path)
        bindings = self._wanted.get(path, ())
        if any(binding.control for binding in bindings):
            self.controls[path] = handle
        for sub in item.objects:
            self._object(handle, f"{path}.{sub.name}", sub)
        found: dict[str, Handle] = {}
        self._attributes(handle, item.attributes, "", found)
        for binding in bindings:
            self.leaves[binding] = Leaf(found[binding.leaf], found["q"], found["t"])

    def _attributes(
        self, parent: Handle, attributes: Iterable[Attribute], prefix: str, found: dict[str, Handle]
    ) -> None:
        for item in attributes:
            path = prefix + item.name
            handle = made(
                self._library.DataAttribute_create(
                    item.name.encode(), parent, B_TYPE[item.b_type], FC[item.fc], item.triggers, 0, 0
                ),
                path,
            )
            found[path] = handle
            if item.children:
                self._attributes(handle, item.children, f"{path}.", found)
            elif item.value is not None:
                self._initial(handle, item.b_type, item.value)

    def _initial(self, handle: Handle, b_type: str, value: Value) -> None:
        library = self._library
        made_value: Handle | None
        if isinstance(value, bool):
            made_value = library.MmsValue_newBoolean(value)
        elif isinstance(value, float):
            made_value = library.MmsValue_newFloat(value)
        elif isinstance(value, str):
            made_value = library.MmsValue_newVisibleString(value.encode())
        elif b_type in UNSIGNED:
            made_value = library.MmsValue_newUnsignedFromUint32(value)
        elif b_type == "INT64":
            made_value = library.MmsValue_newIntegerFromInt64(value)
        else:
            made_value = library.MmsValue_newIntegerFromInt32(value)
        if not made_value:
            raise LibraryError(f"no initial value {value!r} of {b_type}")
        library.DataAttribute_setValue(handle, made_value)  # copies
        library.MmsValue_delete(made_value)
