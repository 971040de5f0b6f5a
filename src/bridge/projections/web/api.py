"""The JSON API under /api/v1: read-only, described by /api/openapi.json."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.core.errors import OperationRefused
from bridge.core.event import EventKind
from bridge.projections.web.api_past import TIME_MOST, closings, history
from bridge.projections.web.asked import BadRequest, NotFound, integer
from bridge.projections.web.core import Core, own_version
from bridge.projections.web.health import health, readiness
from bridge.projections.web.rows import (
    AlarmRow,
    ChannelRow,
    Closing,
    Device,
    EventsAnswer,
    Fault,
    Finding,
    Health,
    HistoryAnswer,
    PointDetail,
    PointPage,
    ServerClients,
    ServerRow,
    Site,
    schema_of,
)
from bridge.projections.web.views import alarm_rows, device_row, device_rows, found_points, point_row

PREFIX = "/api/v1"
# A number that every JSON reader holds exactly
_NUMBER_MOST = 2**53 - 1
# Points and events in one answer
_MOST = 1000
_KINDS = [kind.value for kind in EventKind]


@dataclass(frozen=True, slots=True)
class Parameter:
    """`schema`: JSON Schema of it."""

    name: str
    schema: Mapping[str, Any]
    text: str
    where: str = "query"


Answer = Callable[[Core, Request], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One path of the API. `kind`: what it answers."""

    path: str
    text: str
    answer: Answer
    kind: Any
    parameters: tuple[Parameter, ...] = ()
    statuses: tuple[int, ...] = field(default=(200, 503))


async def _site(core: Core, _: Request) -> Site:
    site, status = await core.site(), await core.status()
    names = [server.name for server in status.servers]
    now_ns = core.clock.utc_ns()
    return Site(
        site.name,
        site.location,
        own_version(),
        now_ns,
        status.ready,
        status.polling,
        len(core.devices),
        len(core.defs),
        names,
    )


async def _devices(core: Core, _: Request) -> list[Device]:
    return await device_rows(core)


async def _device(core: Core, request: Request) -> Device:
    name = request.path_params["id"]
    site, status = await core.site(), await core.status()
    states = {state.name: state for state in status.devices}
    if name not in core.devices:
        raise NotFound("expected a device of this site")
    return device_row(core, name, site.devices.get(name, ""), states.get(name))


async def _points(core: Core, request: Request) -> PointPage:
    offset, limit = integer(request, "offset", 0, 10**9), integer(request, "limit", 200, _MOST)
    found = found_points(core, request.query_params.get("search", ""), request.query_params.get("device", ""))
    rows = [point_row(core, definition) for definition in found[offset : offset + limit]]
    after = offset + limit
    return PointPage(len(found), after if after < len(found) and limit else None, rows)


async def _point(core: Core, request: Request) -> PointDetail:
    definition = core.defs.get(request.path_params["id"])
    if definition is None:
        raise NotFound("expected a point of this site")
    numbers = (await core.numbers()).get(definition.id, {})
    states = {str(code): text for code, text in definition.states}
    return PointDetail(point_row(core, definition), states, numbers)


async def _servers(core: Core, _: Request) -> list[ServerRow]:
    return (await core.status()).servers


async def _channels(core: Core, _: Request) -> list[ChannelRow]:
    return (await core.status()).channels


async def _alarms(core: Core, request: Request) -> list[AlarmRow]:
    which = request.query_params.get("state", "")
    if which not in ("", "active", "historic"):
        raise BadRequest("state: expected active or historic")
    return alarm_rows(core, which)


async def _events(core: Core, request: Request) -> EventsAnswer:
    kind = request.query_params.get("kind", "")
    if kind and kind not in _KINDS:
        raise BadRequest(f"kind: expected one of {', '.join(_KINDS)}")
    after, limit = integer(request, "after", 0, _NUMBER_MOST), integer(request, "limit", 200, _MOST)
    device = request.query_params.get("device", "")[:100]
    return await core.events(after=str(after), most=str(limit), kind=kind, device=device)


async def _setup(core: Core, _: Request) -> list[Finding]:
    return await core.setup()


async def _clients(core: Core, _: Request) -> dict[str, ServerClients]:
    return await core.clients()


async def _healthz(core: Core, _: Request) -> Health:
    return await health(core)


async def _readyz(core: Core, _: Request) -> Health:
    return await readiness(core)


_TEXT = {"type": "string"}
_ID = Parameter("id", {"type": "string", "minLength": 1}, "As it is listed.", "path")


def _count(name: str, default: int, most: int, text: str) -> Parameter:
    return Parameter(name, {"type": "integer", "minimum": 0, "maximum": most, "default": default}, text)


_BAD, _MISSING = (200, 400, 503), (200, 404, 503)
_LIMIT = _count("limit", 200, _MOST, "At most that many.")
OPERATIONS = (
    Operation(f"{PREFIX}/site", "The site and how it is.", _site, Site),
    Operation(f"{PREFIX}/devices", "Every meter with its statistics.", _devices, list[Device]),
    Operation(f"{PREFIX}/devices/{{id}}", "One meter.", _device, Device, (_ID,), _MISSING),
    Operation(
        f"{PREFIX}/points",
        "Points as they are now.",
        _points,
        PointPage,
        (
            Parameter("search", _TEXT, "Words that id, label or unit must have."),
            Parameter("device", _TEXT, "Of this device only."),
            _count("offset", 0, 10**9, "Leave out so many."),
            _LIMIT,
        ),
        _BAD,
    ),
    Operation(f"{PREFIX}/points/{{id}}", "One point, with its public numbers.", _point, PointDetail, (_ID,), _MISSING),
    Operation(
        f"{PREFIX}/points/{{id}}/history",
        "What was recorded of a point, of an index its load profile; oldest first.",
        history,
        HistoryAnswer,
        (
            _ID,
            _count("after", 0, TIME_MOST, "Only later ones; UTC in ns."),
            _count("before", TIME_MOST, TIME_MOST, "Only earlier ones; UTC in ns."),
            _count("limit", _MOST, _MOST, "At most that many."),
        ),
        (200, 400, 404, 503),
    ),
    Operation(
        f"{PREFIX}/points/{{id}}/closings",
        "The readings that close days and months of an index. Information only: a bill must be checkable at the meter.",
        closings,
        list[Closing],
        (_ID,),
        _MISSING,
    ),
    Operation(f"{PREFIX}/setup", "What is missing or should be seen to.", _setup, list[Finding]),
    Operation(f"{PREFIX}/clients", "Who asks each server.", _clients, dict[str, ServerClients]),
    Operation(f"{PREFIX}/servers", "Every server with its counters.", _servers, list[ServerRow]),
    Operation(f"{PREFIX}/channels", "Every channel with its counters.", _channels, list[ChannelRow]),
    Operation(
        f"{PREFIX}/alarms",
        "Alarms, the newest first.",
        _alarms,
        list[AlarmRow],
        (Parameter("state", {"type": "string", "enum": ["active", "historic"]}, "Only these."),),
        _BAD,
    ),
    Operation(
        f"{PREFIX}/events",
        "Events, oldest first: the newest `limit` after a number.",
        _events,
        EventsAnswer,
        (
            _count("after", 0, _NUMBER_MOST, "Only later ones."),
            _LIMIT,
            Parameter("kind", {"type": "string", "enum": _KINDS}, "Of this kind only."),
            Parameter("device", _TEXT, "Of this device only."),
        ),
        _BAD,
    ),
    Operation("/healthz", "Whether the bridge is well; 503 when not.", _healthz, Health),
    Operation("/readyz", "Whether the bridge serves; 503 when not.", _readyz, Health),
)


def routes(core: Core) -> list[Route]:
    """Return the routes of the API and of health."""
    made = [Route(operation.path, _endpoint(core, operation), methods=["GET"]) for operation in OPERATIONS]
    document = msgspec.json.encode(openapi())

    async def describe(_: Request) -> Response:
        return Response(document, media_type="application/json")

    return [*made, Route("/api/openapi.json", describe, methods=["GET"])]


def _endpoint(core: Core, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            found = await operation.answer(core, request)
        except BadRequest as exc:
            return _json(Fault(str(exc)), 400)
        except NotFound as exc:
            return _json(Fault(str(exc)), 404)
        except OperationRefused as exc:
            return _json(Fault(str(exc)), 503)
        return _json(found, 503 if isinstance(found, Health) and not found.ok else 200)

    return endpoint


def _json(body: Any, status: int) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")


def openapi() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the API."""
    kinds = (*(operation.kind for operation in OPERATIONS), Fault)
    schemas, components = schema_of(kinds, "#/components/schemas/{name}")
    fault = schemas[-1]
    paths = {
        operation.path: {"get": _described(operation, schema, fault)}
        for operation, schema in zip(OPERATIONS, schemas, strict=False)
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "meterbridge",
            "version": own_version(),
            "description": "Meters, points, servers, alarms and events of one bridge. Read-only.",
        },
        "paths": paths,
        "components": {"schemas": components},
    }


def _described(operation: Operation, schema: Mapping[str, Any], fault: Mapping[str, Any]) -> dict[str, Any]:
    texts = {200: "As asked.", 400: "A parameter is wrong.", 404: "There is none.", 503: "The core does not answer."}
    other = schema if operation.kind is Health else fault
    return {
        "summary": operation.text,
        "operationId": operation.path.strip("/").replace("/", "_").replace("{", "").replace("}", ""),
        "parameters": [
            {
                "name": parameter.name,
                "in": parameter.where,
                "required": parameter.where == "path",
                "description": parameter.text,
                "schema": parameter.schema,
            }
            for parameter in operation.parameters
        ],
        "responses": {
            str(status): {
                "description": texts[status],
                "content": {"application/json": {"schema": schema if status == 200 else other}},
            }
            for status in operation.statuses
        },
    }
