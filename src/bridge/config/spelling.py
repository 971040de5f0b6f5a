"""Tells a slip of the pen in a point name from a name that the vocabulary has no words for. Pure."""

import difflib
import re
from collections.abc import Iterable

from bridge.core.quantity import Direction, Meaning, Phase, Quantity, Statistic, meaning_of

_CIRCUIT = re.compile(r"ch[1-9]_")
_QUANTITIES = frozenset(q.value for q in Quantity if q is not Quantity.OTHER)
_QUALIFIERS = frozenset(
    word for kind in (Phase, Direction, Statistic) for member in kind for word in str(member.value).split("_")
) - {"none", "present"}
# Likeness from which a word counts as mistyped; "q1" is no "l1", "imprt" is "import"
_QUALIFIER_LIKENESS = 0.75
_QUANTITY_LIKENESS = 0.85


def mistyped(name: str) -> str | None:
    """Return the name that was probably meant, None for one of its own like `reactive_energy_q1`."""
    circuit = found[0] if (found := _CIRCUIT.match(name)) else ""
    words = name[len(circuit) :].split("_")
    for end in range(len(words), 0, -1):
        head = "_".join(words[:end])
        quantity = head if head in _QUANTITIES else _like(head, _QUANTITIES, _QUANTITY_LIKENESS)
        if quantity is None:
            continue
        tail = [w if w in _QUALIFIERS else _like(w, _QUALIFIERS, _QUALIFIER_LIKENESS) or w for w in words[end:]]
        meant = circuit + "_".join([quantity, *tail])
        if meant != name and _known(meaning_of(meant)):
            return meant
    return None


def _known(meaning: Meaning) -> bool:
    return meaning.quantity is not Quantity.OTHER


def _like(word: str, known: Iterable[str], likeness: float) -> str | None:
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=likeness)), None)
