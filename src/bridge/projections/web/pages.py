"""The pages: one function each, which collects what its template shows."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from bridge.core.alarm import summary_of
from bridge.core.errors import OperationRefused
from bridge.core.event import EventKind
from bridge.projections.web.asked import NotFound
from bridge.projections.web.chart import PLOT
from bridge.projections.web.core import Core, own_version
from bridge.projections.web.files import EVENT_FILES, packed
from bridge.projections.web.groups import firmware_of, groups_of, headline
from bridge.projections.web.labels import point_label
from bridge.projections.web.live import POINTS_MOST, Live, row
from bridge.projections.web.mapping import Administration, Plan
from bridge.projections.web.rows import TrafficRow
from bridge.projections.web.sessions import Sessions
from bridge.projections.web.shown import NOTHING, age_text, clock_text, number_text, time_text, unit_text
from bridge.projections.web.views import alarm_rows, device_rows, found_points
from bridge.projections.web.words import LANGUAGES, Words, preferred

_HERE = Path(__file__).parent
_THEMES = ("light", "dark")
_PAGE_POINTS, _PAGE_EVENTS, _FILE_EVENTS = 200, 200, 1000
_COOKIE_S = 31_536_000
Collect = Callable[[Request, Words], Awaitable[Mapping[str, Any]]]


class Pages:
    """Loop thread only."""

    def __init__(self, core: Core, live: Live, sessions: Sessions, plan: Plan) -> None:
        self._core, self._live, self._sessions, self._site = core, live, sessions, plan.site
        self._administration = plan.administration is Administration.ON
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.filters.update({"unit": unit_text, "time": time_text, "age": age_text, "clock": clock_text})
        self._templates.globals["plot"] = PLOT
        for name in self._templates.list_templates():
            self._templates.get_template(name)

    def routes(self) -> list[Route]:
        """Return the routes of every page."""
        shown: Mapping[str, tuple[str, Collect]] = {
            "/": ("overview", self._overview),
            "/meters/{id}": ("meter", self._meter),
            "/points": ("points", self._points),
            "/points/{id}": ("point", self._point),
            "/faces": ("faces", self._faces),
            "/channels/{id}": ("channel", self._channel),
            "/alarms": ("alarms", self._alarms),
            "/events": ("events", self._events),
            "/configuration": ("configuration", self._configuration),
        }
        made = [self.route(path, name, collect) for path, (name, collect) in shown.items()]
        return [
            *made,
            Route("/live", self._stream, methods=["GET"]),
            Route("/events.{form:str}", self._event_file, methods=["GET"]),
            Route("/export/{what}", self._export, methods=["GET"]),
        ]

    def route(self, path: str, name: str, collect: Collect) -> Route:
        """Return the route of a page made of the template `name` and of what `collect` returns."""
        return Route(path, self._page(name, collect), methods=["GET"])

    def not_found(self, request: Request) -> Response:
        return self.render(request, "message", 404, title="Not found", text="There is no such page, meter or point.")

    def _page(self, name: str, collect: Collect) -> Callable[[Request], Awaitable[Response]]:
        async def page(request: Request) -> Response:
            try:
                return self.render(request, name, **await collect(request, words_of(request)))
            except NotFound:
                return self.not_found(request)
            except OperationRefused as exc:
                return self.render(request, "message", 503, title="The core does not answer", text=str(exc))

        return page

    def render(self, request: Request, name: str, status: int = 200, /, **facts: Any) -> Response:
        """Return a page made of the template `name`."""
        words, theme = words_of(request), request.query_params.get("theme") or request.cookies.get("theme", "")
        form = self._sessions.form(request.cookies)
        core = self._core

        def number(value: float | None) -> str:
            return NOTHING if value is None else number_text(str(value), words.language)

        body = self._templates.get_template(f"{name}.html").render(
            _=words,
            number=number,
            decimal=lambda text: number_text(text, words.language) if text else NOTHING,
            point_label=lambda definition: point_label(definition, words.language),
            page=name,
            fragment="x-fragment" in request.headers,
            site=self._site,
            version=own_version(),
            language=words.language,
            languages=LANGUAGES,
            theme=theme if theme in _THEMES else "",
            path=request.url.path,
            session=self._sessions.of(request.cookies, peer_of(request)),
            summary=summary_of(core.alarms.alarms()),
            token=form.token,
            now_ns=core.clock.utc_ns(),
            **facts,
        )
        response = Response(body, status, media_type="text/html")
        self._sessions.keep(form, response)
        for cookie, known in (("lang", LANGUAGES), ("theme", _THEMES)):
            wanted = request.query_params.get(cookie)
            if wanted is not None and wanted in known:
                response.set_cookie(cookie, wanted, max_age=_COOKIE_S, samesite="strict", httponly=True)
        return response

    async def _overview(self, _: Request, words: Words) -> Mapping[str, Any]:
        core = self._core
        status, devices = await core.status(), await device_rows(core)
        meters = [(device, headline(core, device.id, words)) for device in devices]
        return {
            "status": status,
            "meters": meters,
            "alarms": alarm_rows(core, "active"),
            "online": sum(device.state is not None and device.state.state == "online" for device in devices),
            "asked": sum(device.state is not None for device in devices),
            "usable": sum(device.usable for device in devices),
            "total": sum(device.points for device in devices),
        }

    async def _meter(self, request: Request, words: Words) -> Mapping[str, Any]:
        core, name = self._core, request.path_params["id"]
        device = core.devices.get(name)
        if device is None:
            raise NotFound
        site, status = await core.site(), await core.status()
        state = next((found for found in status.devices if found.name == name), None)
        raw = await core.ask("registers", list[dict[str, Any]], device=name) if state is not None else []
        return {
            "device": device,
            "label": site.devices.get(name, ""),
            "state": state,
            "groups": groups_of(core.by_device.get(name, []), words),
            "row": lambda definition: row(core, definition, words),
            "headline": headline(core, name, words),
            "raw": [_block(block) for block in raw],
            "firmware": firmware_of(core, name, words.language),
            "alarms": [alarm for alarm in alarm_rows(core, "active") if alarm.device == name],
        }

    async def _points(self, request: Request, words: Words) -> Mapping[str, Any]:
        core, query = self._core, request.query_params
        search, device, offset = query.get("search", "")[:100], query.get("device", ""), _offset(request)
        found = found_points(core, search, device if device in core.devices else "")
        return {
            "found": found[offset : offset + _PAGE_POINTS],
            "total": len(found),
            "offset": offset,
            "step": _PAGE_POINTS,
            "search": search,
            "device": device,
            "devices": list(core.devices),
            "row": lambda definition: row(core, definition, words),
        }

    async def _point(self, request: Request, words: Words) -> Mapping[str, Any]:
        definition = self._core.defs.get(request.path_params["id"])
        if definition is None:
            raise NotFound
        numbers = (await self._core.numbers()).get(definition.id, {})
        return {"definition": definition, "numbers": numbers, "row": row(self._core, definition, words)}

    async def _faces(self, _: Request, words: Words) -> Mapping[str, Any]:
        del words
        core = self._core
        return {"status": await core.status(), "exports": await core.exports(), "clients": await core.clients()}

    async def _channel(self, request: Request, words: Words) -> Mapping[str, Any]:
        del words
        name, status = request.path_params["id"], await self._core.status()
        channel = next((found for found in status.channels if found.name == name), None)
        if channel is None:
            raise NotFound
        frames = await self._core.ask("frames", list[dict[str, Any]], channel=name)
        clients = await self._core.ask("traffic", list[TrafficRow], channel=name)
        on_line = [device for device in self._core.devices.values() if device.channel == name]
        return {"channel": channel, "frames": frames[::-1][:100], "devices": on_line, "clients": clients[:100]}

    async def _alarms(self, _: Request, words: Words) -> Mapping[str, Any]:
        del words
        return {"active": alarm_rows(self._core, "active"), "historic": alarm_rows(self._core, "historic")[:200]}

    async def _events(self, request: Request, words: Words) -> Mapping[str, Any]:
        del words
        wanted = self._wanted_events(request)
        found = await self._core.events(most=str(_PAGE_EVENTS), **wanted)
        kinds, devices = [kind.value for kind in EventKind], list(self._core.devices)
        return {"events": found.events[::-1], "kinds": kinds, "devices": devices, **wanted}

    def _wanted_events(self, request: Request) -> dict[str, str]:
        kind, device = (request.query_params.get(name, "") for name in ("kind", "device"))
        known = any(kind == found.value for found in EventKind)
        return {"kind": kind if known else "", "device": device if device in self._core.devices else ""}

    async def _event_file(self, request: Request) -> Response:
        """The newest events as CSV or text."""
        make = EVENT_FILES.get(request.path_params["form"])
        if make is None:
            return self.not_found(request)
        try:
            found = await self._core.events(most=str(_FILE_EVENTS), **self._wanted_events(request))
        except OperationRefused as exc:
            return self.render(request, "message", 503, title="The core does not answer", text=str(exc))
        body, kind = make(found.events)
        name = f"{self._site_file()}-events.{request.path_params['form']}"
        return Response(body, media_type=kind, headers={"content-disposition": f'attachment; filename="{name}"'})

    async def _configuration(self, _: Request, words: Words) -> Mapping[str, Any]:
        del words
        core = self._core
        site, status, checked = await core.site(), await core.status(), await core.check()
        counts = len(core.devices), len(core.defs)
        return {
            "about": site,
            "status": status,
            "checked": checked,
            "counts": counts,
            "exports": await core.exports(),
            "administration": self._administration,
        }

    async def _stream(self, request: Request) -> Response:
        """Live values of a meter, of a page of points, or of points by name."""
        core, query = self._core, request.query_params
        if not self._live.has_room():
            return Response("Too many live pages.\n", 503, media_type="text/plain", headers={"retry-after": "30"})
        names = query.getlist("point")[:POINTS_MOST]
        found = [core.defs[name] for name in names if name in core.defs]
        if "device" in query:
            found += core.by_device.get(query["device"], [])[:POINTS_MOST]
        elif "search" in query:
            offset = _offset(request)
            found += found_points(core, query["search"][:100], query.get("of", ""))[offset : offset + _PAGE_POINTS]
        if not found:
            return Response("No such points.\n", 404, media_type="text/plain")
        client = request.client
        assert client is not None
        events = self._live.stream(found[:POINTS_MOST], words_of(request), (client.host, client.port))
        return StreamingResponse(events, media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    async def _export(self, request: Request) -> Response:
        """The files of one exporter, as a ZIP archive."""
        what = request.path_params["what"]
        try:
            if what not in {name for names in (await self._core.exports()).values() for name in names}:
                return self.not_found(request)
            files = await self._core.ask("export", list[dict[str, str]], what=what)
        except OperationRefused as exc:
            return self.render(request, "message", 503, title="The core does not answer", text=str(exc))
        body = await asyncio.to_thread(packed, files)
        disposition = f'attachment; filename="{self._site_file()}-{what}.zip"'
        return Response(body, media_type="application/zip", headers={"content-disposition": disposition})

    def _site_file(self) -> str:
        return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in self._site) or "site"


def peer_of(request: Request) -> str:
    """Return the address a request comes from."""
    return request.client.host if request.client is not None else ""


def words_of(request: Request) -> Words:
    """Return the language of a request: chosen before, or what the browser asks for."""
    wanted = request.query_params.get("lang") or request.cookies.get("lang", "")
    return Words(wanted if wanted in LANGUAGES else preferred(request.headers.get("accept-language", "")))


def _offset(request: Request) -> int:
    text = request.query_params.get("offset", "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _block(block: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a raw block as rows of eight registers, in hexadecimal."""
    data = base64.b64decode(block["data"])
    is_bits = block["function"] in (1, 2)
    words = [data[at : at + 2].hex() for at in range(0, len(data), 2)]
    first = block["address"]
    rows = [(first + at, words[at : at + 8]) for at in range(0, len(words), 8)]
    return {**block, "count": len(data) * 8 if is_bits else len(words), "rows": rows}
