"""The bridge's OPC UA server as a client finds it: asyncua's client, nodes by their string ids."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from asyncua import Client, ua

from bridge.core.point import Kind, PointDef
from bridge.verify.client import ClientFailed
from bridge.verify.compare import Precision, Shown

_TIMEOUT_S = 20.0
# ms; shorter than any server allows
_SESSION_MS = 60_000
# nodes of one Read request
_NODES = 200
# of our own nodes, in the server's namespace array
_NAMESPACE = 2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class OpcUaReader:
    """VerifyClient of the OPC UA server; needs an endpoint that lets an anonymous client read."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        # untyped library: ends here
        self._client: Any = Client(url, timeout=_TIMEOUT_S)
        self._client.session_timeout = _SESSION_MS
        self._connected = False

    def read(self, points: Sequence[PointDef]) -> Mapping[str, Shown]:
        """Raises: ClientFailed."""
        try:
            return self._runner.run(self._read(points))
        except (OSError, TimeoutError, ua.UaError) as exc:
            raise ClientFailed(f"opcua: {exc}") from exc

    def close(self) -> None:
        if self._connected:
            self._runner.run(self._client.disconnect())
        self._runner.close()

    async def _read(self, points: Sequence[PointDef]) -> Mapping[str, Shown]:
        if not self._connected:
            await self._client.connect()
            self._connected = True
        found: dict[str, Shown] = {}
        for at in range(0, len(points), _NODES):
            part = points[at : at + _NODES]
            nodes = [ua.NodeId(point.id, _NAMESPACE) for point in part]
            answers = await self._client.uaclient.read_attributes(nodes, ua.AttributeIds.Value)
            for point, answer in zip(part, answers, strict=True):
                shown = _shown(point, answer)
                if shown is not None:
                    found[point.id] = shown
        return found


def _shown(point: PointDef, answer: Any) -> Shown | None:
    status = answer.StatusCode
    if status.value == ua.StatusCodes.BadNodeIdUnknown:
        return None
    value = answer.Value.Value if answer.Value is not None else None
    precision = Precision.FLOAT64 if point.kind is Kind.ANALOG else Precision.EXACT
    return Shown(None if value is None else _value(point, value), precision, status.is_good())


def _value(point: PointDef, value: Any) -> Fraction | float | str:
    match point.kind:
        case Kind.TEXT:
            return str(value)
        case Kind.ACCUMULATOR:
            return Fraction(int(value)) * Fraction(10) ** point.resolution
        case Kind.TIME:
            # OPC UA counts 100 ns steps; asyncua gives microseconds
            return Fraction((value.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1) * 1000)
        case Kind.ANALOG:
            return float(value)
        case Kind.BINARY | Kind.MULTISTATE:
            return Fraction(int(value))
