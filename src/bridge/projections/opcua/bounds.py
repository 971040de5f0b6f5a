"""What the library's decoder has to be told: an array has no more elements than its message has bytes."""

import functools
import math
from collections.abc import Callable
from typing import Any

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua import ua_binary

from bridge.projections.opcua.binary import I4


def bound_arrays() -> None:
    """
    Refuse arrays in Variants that claim to be longer than what is left of the message, and dimensions of more elements
    than there are.

    The library reads as many elements as a client says, and a Null takes no byte: 2**31 of them took the worker for
    minutes and all memory there was. What dimensions promise it fills with empty lists, 64 MB for 30 bytes. Replaces
    two functions of the library in this process; twice is once.
    """
    decode, reshape = ua_binary.unpack_uatype_array, ua_binary._reshape
    if not getattr(decode, "is_bounded", False):
        ua_binary.unpack_uatype_array, ua_binary._reshape = _bounded(decode), _filled(reshape)


def _filled(reshape: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def filled(flat: Any, dimensions: Any) -> Any:
        if not isinstance(flat, list) or math.prod(dimensions or ()) > len(flat):
            raise ua.UaError(f"dimensions {dimensions} of fewer elements")
        return reshape(flat, dimensions)

    return filled


def _bounded(decode: Callable[[ua.VariantType, Any], Any]) -> Callable[[ua.VariantType, Any], Any]:
    @functools.wraps(decode)
    def bounded(vtype: ua.VariantType, data: Any) -> Any:
        if isinstance(data, Buffer):
            (length,) = I4.unpack(data.copy(I4.size).read(I4.size))
            if length > len(data):
                raise ua.UaError(f"an array of {length} elements in {len(data)} bytes")
        return decode(vtype, data)

    setattr(bounded, "is_bounded", True)  # noqa: B010 - a function has no such attribute for the type checker
    return bounded
