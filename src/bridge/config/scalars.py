"""
Scalars by YAML 1.2's core schema. Pure.

YAML 1.1, which PyYAML reads by itself, takes `off` for false, `0100` for 64 and `1:30` for 90.
"""

import re

# what a value may not contain even when written with an escape
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_INT = re.compile(r"(?:[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+|0o[0-7]+)\Z", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z", re.ASCII)
_NOT_FINITE = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")


def scalar(text: str, plain: bool) -> tuple[str | int | float | bool | None, str | None]:
    """Return the value of a scalar by YAML 1.2's core schema, and what is wrong with it. `plain`: not in quotes."""
    if found := _CONTROL.search(text):
        return "", f"expected text without control characters, found U+{ord(found[0]):04X}"
    if not plain:
        return text, None
    if _NULL.match(text):
        return None, None
    if _BOOL.match(text):
        return text[0] in "tT", None
    if _INT.match(text):
        if len(text) > 25:
            return 0, f"expected a number of at most 64 bits, found one of {len(text)} digits"
        number = int(text, 0)
        return (number, None) if -(2**63) <= number < 2**64 else (0, "expected a number of at most 64 bits, found more")
    if _FLOAT.match(text):
        value = float(text)
        return (value, None) if abs(value) != float("inf") else (0.0, f"expected a finite number, found {text[:40]}")
    if _NOT_FINITE.match(text):
        return 0.0, f"expected a finite number, found {text}"
    return text, None
