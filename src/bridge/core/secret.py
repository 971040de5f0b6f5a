"""A text that must never be shown: passwords, tokens, keys."""

import hmac
from typing import NoReturn


class Secret:
    """
    Shows itself to nobody: not in repr, str, format, logs, tracebacks, JSON, MessagePack or pickles.

    `reveal` is the only way to the text; whoever calls it passes the text on at once and keeps it nowhere.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def __len__(self) -> int:
        return len(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode("utf-8", "replace"), other._text.encode("utf-8", "replace"))

    def __hash__(self) -> NoReturn:
        raise TypeError("a secret is no key")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")
