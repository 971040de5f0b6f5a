"""
The numbering ledger: every public number of a site, by key, so that no edit of a mapping moves or reuses one.

Rules. A key keeps its number as long as the ledger exists. A number once given belongs to its key for good: deleted
(`retired`), it is kept for the key to come back to; left for a pin or a bigger block (`spent`), it is nobody's.
New keys take the lowest number that nobody ever had.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

# What a key may be: also a plain key of YAML
KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./:@+-]{0,159}\Z")
# Numbers that any protocol counts with
MAX_NUMBER = 2**32 - 1
MAX_SIZE = 65536


@dataclass(frozen=True, slots=True)
class Block:
    """Numbers `first` .. `first + size - 1` of one key."""

    first: int
    size: int = 1

    @property
    def last(self) -> int:
        return self.first + self.size - 1

    def __str__(self) -> str:
        return str(self.first) if self.size == 1 else f"{self.first}..{self.last}"


@dataclass(slots=True)
class Space:
    """
    One series of numbers, such as the Analog Input instances. `live`: in use since the last `finish`.

    `revision`: moves whenever `live` does (BACnet Database_Revision).
    """

    revision: int = 0
    live: dict[str, Block] = field(default_factory=dict)
    retired: dict[str, Block] = field(default_factory=dict)
    spent: dict[int, tuple[Block, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """What a new configuration does to one number. `before` None: new or restored; `after` None: retired."""

    space: str
    key: str
    before: Block | None
    after: Block | None

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.space}: {self.key} gets {self.after}"
        if self.after is None:
            return f"{self.space}: {self.key} gives up {self.before}, which stays reserved for it"
        if self.before.first == self.after.first:
            return f"{self.space}: {self.key} grows from {self.before} to {self.after}"
        return f"{self.space}: {self.key} moves from {self.before} to {self.after}"


class Ledger:
    """
    Implements `core.ports.Numbers` over the spaces of a ledger file. One object per load of a configuration.

    Take the pinned keys of a space before the others: a number already given is not taken back.
    """

    def __init__(self, spaces: Mapping[str, Space] | None = None) -> None:
        self._spaces = {name: _copy(space) for name, space in (spaces or {}).items()}
        self._owners = {name: _owners(space) for name, space in self._spaces.items()}
        self._taken: dict[str, dict[str, Block]] = {}
        # lowest number not tried yet, by (space, first, size): numbers are never given back, so it only grows
        self._cursor: dict[tuple[str, int, int], int] = {}

    def spaces(self) -> Mapping[str, Space]:
        """Return what the ledger holds, to be written."""
        return self._spaces

    def rename(self, renamed: Mapping[str, str]) -> None:
        """
        Hand the numbers of device `before` to device `now`: its spaces (`protocol.before.*`), its own key and its
        points' (`before`, `before.*`). What `now` has already stays.
        """
        for name in list(self._spaces):
            now = _renamed_space(name, renamed)
            if now != name and now not in self._spaces:
                self._spaces[now] = self._spaces.pop(name)
        for space in self._spaces.values():
            for entries in (space.live, space.retired):
                for key in list(entries):
                    now = _renamed(key, renamed)
                    if now != key and now not in space.live and now not in space.retired:
                        entries[now] = entries.pop(key)
            space.spent = {first: (block, _renamed(key, renamed)) for first, (block, key) in space.spent.items()}
        self._owners = {name: _owners(space) for name, space in self._spaces.items()}

    def take(self, space: str, key: str, first: int = 1, size: int = 1, pin: int | None = None) -> int:
        """
        Return the number of `key`, a new one if it has none: `size` consecutive numbers from `first` up.

        Raises: ValueError for a pin that belongs, or belonged, to another key, and for no room.
        """
        if KEY.match(space) is None or KEY.match(key) is None:
            raise ValueError(f"expected a key of letters, digits and _./:@+-, found {space!r} {key!r}")
        if not 1 <= size <= MAX_SIZE or not 0 <= first <= MAX_NUMBER:
            raise ValueError(f"expected 1 to {MAX_SIZE} numbers from 0 up, found {size} from {first}")
        held = self._spaces.setdefault(space, Space())
        owners = self._owners.setdefault(space, {})
        had = self._taken.get(space, {}).get(key) or held.live.get(key) or held.retired.get(key)
        block: Block | None = None
        if pin is not None and (had is None or had.first != pin or had.size < size):
            block = self._pinned(held, owners, space, key, size, pin)
        if block is None:
            block = self._kept(owners, key, had, size) or self._free(owners, space, first, size)
        self._give(held, owners, key, had, block)
        self._taken.setdefault(space, {})[key] = block
        return block.first

    def revision(self, space: str) -> int:
        """Return the revision that the numbers taken so far make: the stored one, or the next if they differ."""
        held = self._spaces.get(space, Space())
        return held.revision + (self._taken.get(space, {}) != held.live)

    def finish(self, protocols: Collection[str]) -> None:
        """
        Retire what was not taken in the spaces of `protocols` (the part of a space's name before the first dot).

        The numbers of a protocol that is switched off stay as they are.
        """
        for name, held in self._spaces.items():
            if name.partition(".")[0] not in protocols:
                continue
            taken = self._taken.get(name, {})
            if taken == held.live:
                continue
            held.revision += 1
            for key, block in held.live.items():
                if key not in taken and key not in held.retired:
                    held.retired[key] = block
            held.live = dict(taken)
            for key in taken:
                held.retired.pop(key, None)

    def _pinned(self, held: Space, owners: dict[int, str], space: str, key: str, size: int, pin: int) -> Block:
        if not 0 <= pin <= MAX_NUMBER - size:
            raise ValueError(f"expected a number up to {MAX_NUMBER} for {key}, found the pin {pin}")
        for number in range(pin, pin + size):
            owner = owners.get(number)
            if owner is not None and owner != key:
                state = "belongs" if owner in held.live or owner in self._taken.get(space, {}) else "belonged"
                raise ValueError(
                    f"expected a number nobody else ever had for {key}, found {number}, which {state} to {owner}"
                )
        return Block(pin, size)

    def _kept(self, owners: dict[int, str], key: str, had: Block | None, size: int) -> Block | None:
        """Return the block the key had, grown in place if it must and can."""
        if had is None or size <= had.size:
            return had
        room = all(owners.get(number) in (None, key) for number in range(had.first, had.first + size))
        return Block(had.first, size) if room else None

    def _free(self, owners: dict[int, str], space: str, first: int, size: int) -> Block:
        number = self._cursor.get((space, first, size), first)
        while True:
            taken = next((n for n in range(number + size - 1, number - 1, -1) if n in owners), None)
            if taken is None:
                break
            number = taken + 1
        if number + size - 1 > MAX_NUMBER:
            raise ValueError(f"expected room for {size} numbers in {space}, found none")
        self._cursor[(space, first, size)] = number
        return Block(number, size)

    def _give(self, held: Space, owners: dict[int, str], key: str, had: Block | None, block: Block) -> None:
        if had is not None and had.first != block.first:
            before = held.spent.get(had.first, (had, key))[0]
            held.spent[had.first] = (max(had, before, key=lambda b: b.size), key)
            held.retired.pop(key, None)
        for number in range(block.first, block.first + block.size):
            owners[number] = key


def difference(before: Mapping[str, Space], after: Mapping[str, Space]) -> list[Change]:
    """Return what changed of the numbers in use, by space and key."""
    changes: list[Change] = []
    for name in sorted({*before, *after}):
        old = before[name].live if name in before else {}
        new = after[name].live if name in after else {}
        keys = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
        changes += [Change(name, key, old.get(key), new.get(key)) for key in keys]
    return changes


def clash(space: Space) -> tuple[str, str, int] | None:
    """Return two keys and a number that both claim, None for a sound space."""
    owner: dict[int, str] = {}
    for key, block in _claims(space):
        for number in range(block.first, block.last + 1):
            if owner.setdefault(number, key) != key:
                return owner[number], key, number
    return None


def _renamed(key: str, renamed: Mapping[str, str]) -> str:
    device, dot, rest = key.partition(".")
    return renamed[device] + dot + rest if device in renamed else key


def _renamed_space(name: str, renamed: Mapping[str, str]) -> str:
    protocol, _, rest = name.partition(".")
    return f"{protocol}.{_renamed(rest, renamed)}" if "." in rest else name


def _copy(space: Space) -> Space:
    return Space(space.revision, dict(space.live), dict(space.retired), dict(space.spent))


def _claims(space: Space) -> Iterable[tuple[str, Block]]:
    yield from space.live.items()
    yield from space.retired.items()
    yield from ((key, block) for block, key in space.spent.values())


def _owners(space: Space) -> dict[int, str]:
    return {n: key for key, block in _claims(space) for n in range(block.first, block.last + 1)}
