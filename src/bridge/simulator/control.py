"""
The control port: any client of 127.0.0.1 may look at the simulated meters and change them.

    GET /points                        {"<device>": {"<point>": value, ...}, ...}   in the point's unit, energy exact
    GET, PUT /points/<device>/<point>  a JSON value pins the point, null releases it; answer {"value": what it holds}
    GET /devices                       {"<device>": {"channel": ..., "unit": ..., "meter": ..., "fault": ...}, ...}
    PUT /devices/<device>              {"fault": "dead"|"noise"|"late"|"exception"|null}; with "noise" also "rate",
                                       the share of bytes hit (left out: every reply is damaged)

Times are ISO 8601 texts, states their codes. Errors: {"error": text} with 400, 404, 405 or 413.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.simulator.cell import BadValue, Shown
from bridge.simulator.meters import Fault, SimulatedMeter, UnknownPoint
from bridge.simulator.tcp import HOST

# bytes of a body, requests and connections at once, s to keep an idle connection
_MOST_BYTES, _MOST_AT_ONCE, _KEEP_ALIVE_S = 4096, 64, 15
# s a body may take to arrive, a stop may take
_BODY_S, _STOP_S = 5.0, 2.0
# numbers keep their digits: 131072.01 kWh is exactly that
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_ANY = msgspec.json.Decoder(float_hook=Decimal)


class _DeviceChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    fault: Fault | None
    rate: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None


_CHANGE = msgspec.json.Decoder(_DeviceChange)


def control_app(meters: Mapping[str, SimulatedMeter]) -> Starlette:
    """Return the application of the control port."""

    def found(request: Request) -> SimulatedMeter:
        device = request.path_params["device"]
        if device not in meters:
            raise HTTPException(404, f"no device {device!r}")
        return meters[device]

    async def points(request: Request) -> Response:
        return _json({device: meter.shown() for device, meter in meters.items()})

    async def devices(request: Request) -> Response:
        return _json({device: _facts(meter) for device, meter in meters.items()})

    async def point(request: Request) -> Response:
        meter, name = found(request), request.path_params["point"]
        try:
            if request.method == "PUT":
                given = _decoded(await _body(request))
                if given is None:
                    meter.release(name)
                else:
                    meter.pin(name, given)
            return _json({"value": meter.shown_point(name)})
        except UnknownPoint as exc:
            raise HTTPException(404, f"no point {name!r} that can be read") from exc
        except BadValue as exc:
            raise HTTPException(400, str(exc)) from exc

    async def device(request: Request) -> Response:
        meter = found(request)
        if request.method == "PUT":
            try:
                change = _CHANGE.decode(await _body(request))
            except (msgspec.DecodeError, UnicodeDecodeError) as exc:
                raise HTTPException(400, str(exc)) from exc
            if change.rate is not None and change.fault is not Fault.NOISE:
                raise HTTPException(400, "expected a rate only with noise")
            meter.fault, meter.noise_rate = change.fault, change.rate
        return _json(_facts(meter))

    return Starlette(
        routes=[
            Route("/points", points, methods=["GET"]),
            Route("/points/{device}/{point}", point, methods=["GET", "PUT"]),
            Route("/devices", devices, methods=["GET"]),
            Route("/devices/{device}", device, methods=["GET", "PUT"]),
        ],
        exception_handlers={HTTPException: _refused},
    )


class ControlServer:
    """The control port on 127.0.0.1; 0 = a port the system chooses."""

    def __init__(self, meters: Mapping[str, SimulatedMeter], port: int) -> None:
        self._wanted_port = port
        config = uvicorn.Config(
            control_app(meters),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            limit_concurrency=_MOST_AT_ONCE,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None
        self.url = ""

    async def open(self) -> None:
        """Listen. Raises: OSError when the port is taken."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((HOST, self._wanted_port))
        except OSError:
            listener.close()
            raise
        self.url = f"http://{HOST}:{listener.getsockname()[1]}"
        self._task = asyncio.get_running_loop().create_task(self._server.serve(sockets=[listener]))
        while not self._server.started:
            if self._task.done():
                await self._task
                raise RuntimeError("the control port ended before it began")
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        """Stop listening and wait for it."""
        if self._task is None:
            return
        self._server.should_exit = True
        done, _ = await asyncio.wait({self._task}, timeout=_STOP_S)
        if not done:
            self._task.cancel()
            await asyncio.wait({self._task})
        self._task = None


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process."""
        yield


async def _refused(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, HTTPException):
        raise exc
    return _json({"error": exc.detail}, exc.status_code, exc.headers)


async def _body(request: Request) -> bytes:
    """Return the body, of bounded size and time."""
    body = b""
    try:
        async with asyncio.timeout(_BODY_S):
            async for part in request.stream():
                body += part
                if len(body) > _MOST_BYTES:
                    raise HTTPException(413, f"expected at most {_MOST_BYTES} bytes")
    except (TimeoutError, ClientDisconnect) as exc:
        raise HTTPException(400, "expected a whole body") from exc
    return body


def _decoded(body: bytes) -> object:
    try:
        value: object = _ANY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, ArithmeticError, RecursionError) as exc:
        raise HTTPException(400, f"expected JSON: {exc}") from exc
    return value


def _facts(meter: SimulatedMeter) -> dict[str, object]:
    definition = meter.device.definition
    facts: dict[str, object] = {
        "channel": definition.channel,
        "unit": definition.unit_id,
        "meter": definition.meter,
        "fault": meter.fault,
    }
    if meter.noise_rate is not None:
        facts["rate"] = meter.noise_rate
    return facts


def _json(
    value: Mapping[str, Mapping[str, Shown]] | Mapping[str, object],
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    return Response(_ENCODER.encode(value), status, dict(headers or {}), "application/json")
