"""Tells a slip of the pen in a point name from a name that the vocabulary has no words for. Pure."""

import re
from collections.abc import Iterable

from bridge.core.quantity import Direction, Meaning, Phase, Quantity, Statistic, meaning_of

_CIRCUIT = re.compile(r"ch[1-9]_")
_QUANTITIES = frozenset(q.value for q in Quantity if q is not Quantity.OTHER)
_QUALIFIERS = frozenset(
    word for kind in (Phase, Direction, Statistic) for member in kind for word in str(member.value).split("_")
) - {"none", "present"}
# Shorter words are too much like one another: "q1" is no slip of "l1"
_SHORTEST = 4


def mistyped(name: str) -> str | None:
    """Return the name that was probably meant, None for one of its own like `reactive_energy_q1`."""
    circuit = found[0] if (found := _CIRCUIT.match(name)) else ""
    words = name[len(circuit) :].split("_")
    for end in range(len(words), 0, -1):
        head = "_".join(words[:end])
        quantity = head if head in _QUANTITIES else _like(head, _QUANTITIES)
        if quantity is None:
            continue
        tail = [w if w in _QUALIFIERS else _like(w, _QUALIFIERS) or w for w in words[end:]]
        meant = circuit + "_".join([quantity, *tail])
        if meant != name and _known(meaning_of(meant)):
            return meant
    return None


def _known(meaning: Meaning) -> bool:
    return meaning.quantity is not Quantity.OTHER


def _like(word: str, known: Iterable[str]) -> str | None:
    return next((other for other in sorted(known) if _one_slip(word, other)), None)


def _one_slip(typed: str, meant: str) -> bool:
    """Tell whether one letter was left out, added, exchanged, or swapped with its neighbour."""
    if typed == meant or min(len(typed), len(meant)) < _SHORTEST or abs(len(typed) - len(meant)) > 1:
        return False
    i = next((n for n, (a, b) in enumerate(zip(typed, meant, strict=False)) if a != b), min(len(typed), len(meant)))
    if len(typed) != len(meant):
        longer, shorter = (typed, meant) if len(typed) > len(meant) else (meant, typed)
        return longer[i + 1 :] == shorter[i:]
    swapped = typed[i : i + 2] == meant[i : i + 2][::-1] and typed[i + 2 :] == meant[i + 2 :]
    return swapped or typed[i + 1 :] == meant[i + 1 :]
