"""What a page may do besides showing: log in and out, acknowledge, set a point. The core judges each by itself."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bridge.core.command import Command, CommandResult, Origin, Outcome
from bridge.core.login import Admission
from bridge.core.point import Kind, PointDef, Value
from bridge.core.ports import Authenticator, CommandPort
from bridge.core.secret import Secret
from bridge.projections.web.core import Core
from bridge.projections.web.pages import Pages, peer_of, words_of
from bridge.projections.web.sessions import Session, Sessions

# s for an acknowledgement or a command, the read-back included
_COMMAND_S = 8.0
EXPIRED = "The form has expired. Try again."
_REFUSED_LOGIN = {
    Admission.WRONG: "Wrong name or password.",
    Admission.LOCKED: "Too many wrong tries, or the user is locked. Try again later.",
    Admission.BUSY: "The bridge is busy. Try again.",
}


class Forms:
    """Loop thread only."""

    def __init__(
        self, core: Core, pages: Pages, sessions: Sessions, logins: Authenticator, commands: CommandPort
    ) -> None:
        self._core, self._pages, self._sessions = core, pages, sessions
        self._logins, self._commands = logins, commands

    def routes(self) -> list[Route]:
        """Return the routes of every form."""
        return [
            Route("/login", self._login, methods=["GET", "POST"]),
            Route("/logout", self._logout, methods=["POST"]),
            Route("/alarms/{id:int}/acknowledge", self._acknowledge, methods=["POST"]),
            Route("/points/{id}/command", self._command, methods=["POST"]),
        ]

    async def _login(self, request: Request) -> Response:
        if request.method != "POST":
            return self._pages.render(request, "login", error="")
        form = await form_of(request)
        user, password = text_of(form, "user"), text_of(form, "password")
        if not self._is_ours(request, form):
            return self._pages.render(request, "login", 403, error=EXPIRED)
        result = await self._logins.login(peer_of(request), user, Secret(password))
        if result.admission is not Admission.ADMITTED:
            self._core.counters["refused_logins"] = self._core.counters.get("refused_logins", 0) + 1
            return self._pages.render(request, "login", 401, error=_REFUSED_LOGIN[result.admission])
        response = RedirectResponse("/", 303)
        self._sessions.begin(user, peer_of(request), result, response)
        return response

    async def _logout(self, request: Request) -> Response:
        form, response = await form_of(request), RedirectResponse("/", 303)
        if self._is_ours(request, form):
            self._sessions.end(request.cookies, response)
        return response

    async def _acknowledge(self, request: Request) -> Response:
        session, form = self._sessions.of(request.cookies, peer_of(request)), await form_of(request)
        if session is None or not self._is_ours(request, form):
            return self._expired(request, "Alarms")
        if not session.may_act:
            # least privilege: who may only look has seen nothing on behalf of others
            return self._told(request, "Alarms", CommandResult(Outcome.REFUSED_BY_POLICY), "")
        alarm = request.path_params["id"]
        result = await self._core.alarms.acknowledge(alarm, _origin(request, session), self._deadline_ns())
        return self._told(request, "Alarms", result, "/alarms")

    async def _command(self, request: Request) -> Response:
        """A wrong value goes nowhere; everything else is the policy's to judge."""
        session, form = self._sessions.of(request.cookies, peer_of(request)), await form_of(request)
        if session is None or not self._is_ours(request, form):
            return self._expired(request, "Commands")
        definition = self._core.defs.get(request.path_params["id"])
        if definition is None:
            return self._pages.not_found(request)
        value = typed(definition, text_of(form, "value"))
        if value is None or not text_of(form, "sure"):
            return self._told(request, "Commands", CommandResult(Outcome.OUT_OF_RANGE), "")
        command = Command(definition.index, value, _origin(request, session), self._deadline_ns())
        return self._told(request, "Commands", await self._commands.submit(command), f"/points/{definition.id}")

    def _is_ours(self, request: Request, form: FormData) -> bool:
        return self._sessions.is_of_form(request.cookies, text_of(form, "token"))

    def _expired(self, request: Request, title: str) -> Response:
        return self._pages.render(request, "message", 403, title=title, text=EXPIRED)

    def _told(self, request: Request, title: str, result: CommandResult, back: str) -> Response:
        if result.outcome is Outcome.DONE:
            return RedirectResponse(back, 303)
        words = words_of(request)
        code = f" ({result.device_code:#04x})" if result.device_code else ""
        text = f"{words('The answer of the bridge')}: {words(result.outcome.value)}{code}"
        return self._pages.render(request, "message", 403, title=title, text=text)

    def _deadline_ns(self) -> int:
        return self._core.clock.monotonic_ns() + round(_COMMAND_S * 1e9)


def typed(definition: PointDef, text: str) -> Value:
    """Return what a person typed as a value of the point; None for what is none. Pure."""
    text = text.strip()
    if definition.kind is Kind.TEXT:
        return text
    try:
        if definition.kind in (Kind.BINARY, Kind.MULTISTATE):
            code = int(text)
            known = {state for state, _ in definition.states} or {0, 1}
            if code not in known:
                return None
            return bool(code) if definition.kind is Kind.BINARY else code
        if definition.kind in (Kind.ACCUMULATOR, Kind.TIME):
            # never writable, which is the core's to say and to record
            number = int(text)
            return number if -(2**63) <= number < 2**63 else None
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return value if -1e300 < value < 1e300 else None


async def form_of(request: Request) -> FormData:
    """Return the fields of a form; files are none."""
    return await request.form(max_files=0, max_fields=10)


def text_of(form: FormData, name: str) -> str:
    """Return a field of a form, "" when it has none."""
    found = form.get(name)
    return found if isinstance(found, str) else ""


def _origin(request: Request, session: Session) -> Origin:
    return Origin("web", peer_of(request), session.user)
