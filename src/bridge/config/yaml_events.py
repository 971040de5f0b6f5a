"""
The parser's events -> marked values, without recursion and without the constructors of PyYAML.

Refused: duplicate keys, tags, merge keys, keys that are no text or whole number, a second document, and more nesting
or aliases than the limits.
"""

from dataclasses import dataclass
from typing import Any

import yaml

from bridge.config.marked import Marked, Path, dotted
from bridge.config.scalars import scalar
from bridge.core.errors import ConfigError

# Levels of nesting; a meter file needs 5
MAX_DEPTH = 32
# Values that aliases may stand for, all together: "billion laughs" stops here
MAX_ALIASED = 10_000
# Anchors in one file
MAX_ANCHORS = 1_000


@dataclass(slots=True)
class _Level:
    """
    A mapping or list being read. `first`: position of its first value in the log. `key`: read, its value not yet;
    `key_lost`: the key cannot be used, so neither can its value.
    """

    path: Path
    value: Any
    anchor: str | None
    first: int
    expects_key: bool = True
    key: Any = None
    key_at: tuple[int, int] = (1, 1)
    key_lost: bool = False


class Reader:
    """Takes the parser's events one by one and builds values without recursion."""

    def __init__(self, file: str) -> None:
        self.out = Marked(file)
        self.faults: list[ConfigError] = []
        self.fatal = False
        self._levels: list[_Level] = []
        # every value's place in the order of reading, for those that anchors name
        self._log: list[tuple[Path, tuple[int, int]]] = []
        self._anchors: dict[str, tuple[Any, list[tuple[Path, tuple[int, int]]] | None]] = {}
        self._open_anchors: set[str] = set()
        self._aliased = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._open(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._stop(_at(event), "expected one document, found a second one (a line `---`)")

    def _fault(self, at: tuple[int, int], path: Path, message: str) -> None:
        self.faults.append(ConfigError(self.out.file, *at, dotted(path), message))

    def _stop(self, at: tuple[int, int], message: str) -> None:
        self._fault(at, self._path(), message)
        self.fatal = True

    def _path(self) -> Path:
        """Return the path of the value that comes next."""
        if not self._levels:
            return ()
        level = self._levels[-1]
        if isinstance(level.value, list):
            return (*level.path, len(level.value))
        return level.path if level.expects_key else (*level.path, level.key)

    def _wants_key(self) -> bool:
        return bool(self._levels) and isinstance(self._levels[-1].value, dict) and self._levels[-1].expects_key

    def _scalar(self, event: Any) -> None:
        at = _at(event)
        if self._wants_key():
            self._key(event, at)
            return
        path = self._path()
        self._refuse_tag(event, at, path)
        value, problem = scalar(event.value, plain=event.style is None or event.style == "")
        if problem:
            self._fault(at, path, problem)
        if isinstance(value, (int, float)) and str(value) != event.value:
            self.out.texts[path] = event.value
        self._put(path, value, at)
        if event.anchor:
            self._name(event.anchor, value, [])

    def _refuse_tag(self, event: Any, at: tuple[int, int], path: Path) -> None:
        if event.tag is not None and event.tag != "!":
            self._fault(at, path, f"expected a plain value, found the tag {event.tag[:60]} (tags are not accepted)")

    def _key(self, event: Any, at: tuple[int, int]) -> None:
        level = self._levels[-1]
        plain = event.style is None or event.style == ""
        key, problem = scalar(event.value, plain=plain)
        level.expects_key, level.key_at, level.key_lost = False, at, False
        self._refuse_tag(event, at, (*level.path, event.value[:60]))
        if plain and event.value == "<<":
            problem = "expected a key, found the merge key `<<` (write the keys out, or use `extends` in a meter file)"
        elif isinstance(key, bool) or key is None or isinstance(key, float):
            problem = (
                f'expected a key that is text, found {event.value[:60]!r} (put it in quotes: "{event.value[:60]}")'
            )
        elif problem is None and key in level.value:
            first = self.out.marks[(*level.path, key)][0]
            problem = f"expected each key once, found it a second time (first on line {first})"
        if problem:
            level.key_lost = True
            key = event.value[:60]
            self._fault(at, (*level.path, key), problem)
        level.key = key

    def _put(self, path: Path, value: Any, at: tuple[int, int]) -> None:
        """Store a value where the innermost open mapping or list expects it."""
        if not self._levels:
            self.out.data, self.out.marks[()] = value, at
            return
        level = self._levels[-1]
        if isinstance(level.value, list):
            level.value.append(value)
            self._mark(path, at)
            return
        if not level.key_lost:
            level.value[level.key] = value
            self._mark(path, level.key_at)
        level.expects_key = True

    def _mark(self, path: Path, at: tuple[int, int]) -> None:
        self.out.marks[path] = at
        self._log.append((path, at))

    def _name(self, anchor: str, value: Any, places: list[tuple[Path, tuple[int, int]]]) -> None:
        """Remember what an anchor stands for; too much of it is refused when it is used."""
        if len(self._anchors) >= MAX_ANCHORS:
            self._stop((1, 1), f"expected at most {MAX_ANCHORS} anchors, found more")
            return
        self._anchors[anchor] = (value, places if len(places) < MAX_ALIASED else None)

    def _open(self, event: Any) -> None:
        at = _at(event)
        if self._wants_key():
            self._stop(at, "expected a key that is text, found a list or mapping as key")
            return
        if len(self._levels) >= MAX_DEPTH:
            self._stop(at, f"expected at most {MAX_DEPTH} levels of nesting, found more")
            return
        path = self._path()
        self._refuse_tag(event, at, path)
        value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._put(path, value, at)
        if event.anchor:
            self._open_anchors.add(event.anchor)
        self._levels.append(_Level(path, value, event.anchor, len(self._log)))

    def _close(self) -> None:
        level = self._levels.pop()
        if level.anchor:
            self._open_anchors.discard(level.anchor)
            size = len(level.path)
            inside = self._log[level.first : level.first + MAX_ALIASED]
            self._name(level.anchor, level.value, [(path[size:], at) for path, at in inside])

    def _alias(self, event: Any) -> None:
        at, name = _at(event), event.anchor
        if self._wants_key():
            self._stop(at, f"expected a key that is text, found the alias *{name}")
            return
        if name in self._open_anchors:
            self._stop(at, f"expected a value, found the alias *{name} inside of what it stands for")
            return
        if name not in self._anchors:
            self._stop(at, f"expected an alias to something above, found *{name}")
            return
        value, places = self._anchors[name]
        self._aliased += len(places or ()) + 1
        if places is None or self._aliased > MAX_ALIASED:
            self._stop(at, f"expected aliases to stand for at most {MAX_ALIASED} values, found more")
            return
        path = self._path()
        self._put(path, value, at)
        for inner, place in places:
            self._mark(path + inner, place)


def _at(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1
