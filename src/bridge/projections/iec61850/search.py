"""
How libiec61850 finds the report blocks that a changed value concerns, and a short way for it.

It compares the value with every part of every member of every data set that is looked for: 60 us a change at 100
meters x 80 points. While the data model is locked, each data set therefore shows a blank copy of its list of members,
equal but for the values, and for the time of one update only the members that hold the value have theirs. The layouts
are those of `iec61850_model.h` of libiec61850, by which generated C models are written:

    DataSet:      logicalDeviceName | name | elementCount | fcdas | sibling
    DataSetEntry: logicalDeviceName | isLDNameDynamicallyAllocated | variableName | index | componentName | value |
                  sibling

What stands in memory is compared with what was asked for before anything is touched. Nobody reads a data set's values
while the model is locked but the search itself; a thread that sends a report reads names, which are in both lists.
"""

import ctypes
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Final

from bridge.projections.iec61850.lib61850 import Functions, Handle, LibraryError

# A structure in a structure in a data object: cVal.mag.f
_DEPTH: Final = 8
_MMS_ARRAY, _MMS_STRUCTURE = 0, 1
_Pointer = ctypes.c_void_p


class _Entry(ctypes.Structure):
    _fields_ = (
        ("device", _Pointer),
        ("device_is_own", ctypes.c_bool),
        ("variable", ctypes.c_char_p),
        ("index", ctypes.c_int),
        ("component", _Pointer),
        ("value", _Pointer),
        ("sibling", _Pointer),
    )


# The structure as an array of words of a pointer's size.
_WORDS: Final = ctypes.sizeof(_Entry) // ctypes.sizeof(_Pointer)
_VALUE_WORD: Final = _Entry.value.offset // ctypes.sizeof(_Pointer)


class _DataSet(ctypes.Structure):
    _fields_ = (
        ("device", _Pointer),
        ("name", ctypes.c_char_p),
        ("count", ctypes.c_int),
        ("first", _Pointer),
        ("sibling", _Pointer),
    )


class Member:
    """A place in a data set where a value is, or a part of it. Only between `narrow` and `widen`."""

    __slots__ = ("_at", "_blanks", "_value")

    def __init__(self, blanks: "ctypes.Array[_Pointer]", at: int, value: Handle) -> None:
        self._blanks, self._at, self._value = blanks, at, value

    def show(self) -> None:
        self._blanks[self._at] = self._value

    def hide(self) -> None:
        self._blanks[self._at] = None


class NarrowSet:
    """The two lists of one data set. Keeps the memory of the blank one: alive as long as the server."""

    def __init__(self, handle: Handle, members: Sequence[str]) -> None:
        """`members`: as they were asked for. Raises: LibraryError when the memory is not as expected."""
        self._set = _DataSet.from_address(handle)
        self._full: Handle = self._set.first
        entries = list(_chain(self._set, len(members)))
        if [entry.variable.decode() for entry in entries] != [member.rpartition("/")[2] for member in members]:
            raise LibraryError(f"{self._set.name!r} does not have the members asked for")
        self._blanks = (_Entry * len(entries))(*entries)
        self._values = [entry.value for entry in entries]
        for number, blank in enumerate(self._blanks):
            blank.value = None
            if number + 1 < len(entries):
                blank.sibling = ctypes.addressof(self._blanks[number + 1])
        self._empty = ctypes.addressof(self._blanks)
        self._words = (_Pointer * (len(entries) * _WORDS)).from_buffer(self._blanks)

    @property
    def shown(self) -> list[Handle | None]:
        """The values that the library finds in the data set now."""
        return [entry.value for entry in _chain(self._set, len(self._values))]

    def narrow(self) -> None:
        """Call with the data model locked."""
        self._set.first = self._empty

    def widen(self) -> None:
        """Call before it is unlocked."""
        self._set.first = self._full

    def members(self, library: Functions, wanted: Set[Handle]) -> Iterator[tuple[Handle, Member]]:
        """Yield the values of `wanted` that are members or parts of members."""
        for number, value in enumerate(self._values):
            found = [part for part in _parts(library, value) if part in wanted] if value else []
            if found:
                member = Member(self._words, number * _WORDS + _VALUE_WORD, value)
                yield from ((part, member) for part in found)


class Search:
    """All data sets of a server. Without sets it changes nothing, and every search is a long one."""

    def __init__(self, sets: Iterable[tuple[NarrowSet, bool]]) -> None:
        """`sets`: with whether BRCBs look into it, client or not."""
        known = list(sets)
        self._all = [narrow_set for narrow_set, _ in known]
        self._watched = [narrow_set for narrow_set, watched in known if watched]
        self._narrow: list[NarrowSet] = []

    def places(self, library: Functions, wanted: Set[Handle]) -> dict[Handle, tuple[Member, ...]]:
        """Return every place where a value of `wanted` is."""
        found: dict[Handle, tuple[Member, ...]] = {}
        for narrow_set in self._all:
            for value, member in narrow_set.members(library, wanted):
                found[value] = (*found.get(value, ()), member)
        return found

    def narrow(self, heard: bool) -> None:
        """
        Blank the lists; call with the data model locked, and `widen` before it is unlocked.

        `heard`: some enabled block looks into data sets that no BRCB watches.
        """
        self._narrow = self._all if heard else self._watched
        for narrow_set in self._narrow:
            narrow_set.narrow()

    def widen(self) -> None:
        for narrow_set in self._narrow:
            narrow_set.widen()


def _chain(data_set: _DataSet, count: int) -> Iterator[_Entry]:
    """Raises: LibraryError."""
    address: Handle | None = data_set.first
    if not count or data_set.count != count:
        raise LibraryError(f"{data_set.name!r} has {data_set.count} members, asked for were {count}")
    for _ in range(count):
        if not address:
            raise LibraryError(f"{data_set.name!r} ends before its {count} members")
        entry = _Entry.from_address(address)
        yield entry
        address = entry.sibling
    if address:
        raise LibraryError(f"{data_set.name!r} has more than {count} members")


def _parts(library: Functions, value: Handle, depth: int = _DEPTH) -> Iterator[Handle]:
    yield value
    if depth and library.MmsValue_getType(value) in (_MMS_ARRAY, _MMS_STRUCTURE):
        for index in range(library.MmsValue_getArraySize(value)):
            part = library.MmsValue_getElement(value, index)
            if part:
                yield from _parts(library, part, depth - 1)
