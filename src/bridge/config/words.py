"""What a configuration error says: what a description of msgspec's expects and what was found, in plain words. Pure."""

import difflib
import re
from collections.abc import Iterable
from typing import Any

import msgspec.inspect as mi


def near(word: str, known: Iterable[str]) -> str:
    """Return a hint: the known word that was probably meant, else all of them if they are few."""
    words = sorted({str(item) for item in known})
    lower = {item.lower(): item for item in reversed(words)}
    found = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.6)
    if found:
        return f" (did you mean `{lower[found[0]]}`?)"
    return f" (known: {', '.join(words)})" if words and len(words) <= 12 else ""


def found(node: Any, text: str | None = None) -> str:
    """Say what was found. `text`: how a number was written."""
    if node is None:
        return "nothing"
    if isinstance(node, bool):
        return f"`{str(node).lower()}`"
    if isinstance(node, str):
        return f'the text "{_short(node)}"'
    if isinstance(node, (int, float)):
        return text or f"{node:.12g}"
    if isinstance(node, dict):
        return "keys (a mapping)"
    return "a list"


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def is_number(node: Any) -> bool:
    return isinstance(node, (int, float)) and not isinstance(node, bool)


def is_word_of(text: str | None, kind: mi.Type) -> bool:
    """Tell whether `text`, which YAML takes for a number (8E1 is 80.0), is one of the words wanted."""
    return isinstance(kind, (mi.LiteralType, mi.EnumType)) and text is not None and fits(text, kind)


def same_nature(node: Any, kind: mi.Type) -> bool:
    """Tell whether a mistake in `node` is best explained by `kind` out of several that are allowed."""
    if isinstance(kind, (mi.IntType, mi.FloatType)):
        return is_number(node)
    if isinstance(kind, (mi.StrType, mi.EnumType, mi.LiteralType)):
        return isinstance(node, str)
    if isinstance(kind, mi.BoolType):
        return isinstance(node, bool)
    return isinstance(kind, mi.NoneType) and node is None


def fits(node: Any, kind: mi.Type) -> bool:
    """Tell whether a single value is what `kind` describes."""
    if isinstance(kind, mi.Metadata):
        return fits(node, kind.type)
    if isinstance(kind, mi.AnyType):
        return True
    if isinstance(kind, mi.NoneType):
        return node is None
    if isinstance(kind, mi.BoolType):
        return isinstance(node, bool)
    if isinstance(kind, mi.IntType):
        return isinstance(node, int) and not isinstance(node, bool) and _in_range(node, kind)
    if isinstance(kind, mi.FloatType):
        return is_number(node) and _in_range(node, kind)
    if isinstance(kind, mi.StrType):
        return isinstance(node, str) and _text_fits(node, kind)
    if isinstance(kind, mi.EnumType):
        return any(type(node) is type(m.value) and node == m.value for m in kind.cls)
    if isinstance(kind, mi.LiteralType):
        return any(type(node) is type(v) and node == v for v in kind.values)
    return False


def _in_range(node: float, kind: mi.IntType | mi.FloatType) -> bool:
    return (
        (kind.ge is None or node >= kind.ge)
        and (kind.gt is None or node > kind.gt)
        and (kind.le is None or node <= kind.le)
        and (kind.lt is None or node < kind.lt)
    )


def _text_fits(node: str, kind: mi.StrType) -> bool:
    return (
        (kind.pattern is None or re.search(kind.pattern, node) is not None)
        and (kind.min_length is None or len(node) >= kind.min_length)
        and (kind.max_length is None or len(node) <= kind.max_length)
    )


def wanted(kind: mi.Type) -> str:
    """Say what is expected, in words: those of the field's own description if it has one."""
    if isinstance(kind, mi.Metadata):
        return str((kind.extra_json_schema or {}).get("description") or wanted(kind.type))
    if isinstance(kind, mi.BoolType):
        return "true or false"
    if isinstance(kind, mi.IntType):
        return "a whole number" + _range_words(kind)
    if isinstance(kind, mi.FloatType):
        return "a number" + _range_words(kind)
    if isinstance(kind, mi.EnumType):
        return f"one of {', '.join(str(m.value) for m in kind.cls)}"
    if isinstance(kind, mi.LiteralType):
        return f"one of {', '.join(str(v) for v in kind.values)}"
    if isinstance(kind, mi.StrType):
        return "text" + _text_words(kind)
    if isinstance(kind, (mi.StructType, mi.DictType)):
        return "keys (a mapping)"
    return "nothing" if isinstance(kind, mi.NoneType) else "a list"


def _range_words(kind: mi.IntType | mi.FloatType) -> str:
    low = kind.ge if kind.ge is not None else kind.gt
    high = kind.le if kind.le is not None else kind.lt
    above, below = ("more than" if kind.gt is not None else "at least"), ("below" if kind.lt is not None else "at most")
    if low is not None and high is not None and kind.gt is None and kind.lt is None:
        return f" from {low:g} to {high:g}" if isinstance(low, float) else f" from {low} to {high}"
    parts = [*([f"{above} {low}"] if low is not None else []), *([f"{below} {high}"] if high is not None else [])]
    return f", {' and '.join(parts)}" if parts else ""


def _text_words(kind: mi.StrType) -> str:
    words = f" of the form {kind.pattern}" if kind.pattern else ""
    if kind.min_length is not None:
        words += f" of at least {kind.min_length} character(s)"
    if kind.max_length is not None:
        words += f" of at most {kind.max_length} characters"
    return words


def advice(node: Any, kind: mi.Type) -> str:
    """Return how a frequent slip is put right, in brackets, or nothing."""
    if isinstance(kind, mi.Metadata):
        return "" if (kind.extra_json_schema or {}).get("description") else advice(node, kind.type)
    if isinstance(kind, (mi.IntType, mi.FloatType)) and isinstance(node, str):
        if re.fullmatch(r"[-+]?0[0-9]+", node):
            return " (a number has no leading zero)"
        if re.fullmatch(r"[-+]?[0-9]+,[0-9]+", node):
            return " (the decimal sign is a point)"
        if re.fullmatch(r"[-+]?[0-9.]+", node):
            return " (without the quotes it is a number)"
    if isinstance(kind, mi.StrType) and isinstance(node, (bool, int, float)):
        return f' (put it in quotes: "{str(node).lower() if isinstance(node, bool) else node}")'
    if isinstance(kind, mi.BoolType) and isinstance(node, str):
        return " (YAML 1.2 knows only true and false)"
    if isinstance(kind, (mi.EnumType, mi.LiteralType)) and isinstance(node, str):
        options = [m.value for m in kind.cls] if isinstance(kind, mi.EnumType) else kind.values
        hint = near(node, [str(o) for o in options])
        return hint if "did you mean" in hint else ""
    return ""
