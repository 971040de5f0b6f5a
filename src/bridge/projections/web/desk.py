"""What a user with the right may have done from a page: reload, users, sessions, the certificate. The core decides."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bridge.core.command import Origin
from bridge.core.errors import OperationRefused
from bridge.core.listener import Listener
from bridge.core.rights import Right
from bridge.projections.web.certificate import shown_of
from bridge.projections.web.core import Core
from bridge.projections.web.forms import EXPIRED, form_of, text_of
from bridge.projections.web.mapping import Administration, Certificate, Plan
from bridge.projections.web.pages import Pages, peer_of, words_of
from bridge.projections.web.rows import Reloaded, UsersAnswer
from bridge.projections.web.sessions import Session, Sessions
from bridge.projections.web.words import Words

# Order of the core for each button of the page of users
_USER_ORDERS = {
    "add": "user_add",
    "password": "user_password",
    "lock": "user_lock",
    "unlock": "user_unlock",
    "remove": "user_remove",
}
# After these the user has to log in again
_ENDING = ("password", "lock", "remove")


class Desk:
    """Loop thread only. `renew`: have the listener opened with the certificate that is there now."""

    def __init__(
        self,
        core: Core,
        pages: Pages,
        sessions: Sessions,
        plan: Plan,
        listener: Listener,
        renew: Callable[[], None],
    ) -> None:
        self._core, self._pages, self._sessions = core, pages, sessions
        self._plan, self._listener, self._renew = plan, listener, renew

    def routes(self) -> list[Route]:
        """Return the routes of the page and of its forms."""
        return [
            self._pages.route("/access", "access", self._collect),
            Route("/access/users", self._users, methods=["POST"]),
            Route("/access/sessions/{id}/end", self._end_session, methods=["POST"]),
            Route("/access/certificate", self._certificate, methods=["POST"]),
            Route("/access/certificate/remove", self._certificate_remove, methods=["POST"]),
            Route("/configuration/reload", self._reload, methods=["POST"]),
        ]

    async def _collect(self, request: Request, words: Words) -> Mapping[str, Any]:
        del words
        session = self._session(request)
        keeps = session is not None and Right.SECURITY in session.rights
        answer, refused = UsersAnswer([], []), ""
        if keeps and self._plan.administration is Administration.ON:
            try:
                answer = await self._core.order("users", UsersAnswer, origin_of(request, session))
            except OperationRefused as exc:
                refused = str(exc)
        shown = [
            (found, idle_s)
            for found, idle_s in self._sessions.everybody()
            if session is not None and (keeps or found.user == session.user)
        ]
        tls = self._listener.tls
        return {
            "keeps": keeps,
            "administration": self._plan.administration is Administration.ON,
            "users": answer.users,
            "roles": answer.roles,
            "refused": refused,
            "sessions": shown,
            "now_mono_ns": self._core.clock.monotonic_ns(),
            "idle_min": self._plan.idle_min,
            "certificate": shown_of(tls) if tls is not None else None,
            "installable": self._plan.listener.tls is None and self._plan.certificate is Certificate.OWN,
        }

    async def _users(self, request: Request) -> Response:
        form = await form_of(request)
        action, name = text_of(form, "action"), text_of(form, "name")
        if action not in _USER_ORDERS:
            return self._pages.not_found(request)
        arguments = {"name": name, "role": text_of(form, "role"), "password": text_of(form, "password")}
        wanted = {key: value for key, value in arguments.items() if value}

        def afterwards() -> None:
            if action in _ENDING:
                self._sessions.end_of(name)

        return await self._ordered(request, text_of(form, "token"), _USER_ORDERS[action], wanted, afterwards)

    async def _certificate(self, request: Request) -> Response:
        form = await form_of(request)
        wanted = {name: text_of(form, name).replace("\r\n", "\n") for name in ("certificate", "key")}
        return await self._ordered(request, text_of(form, "token"), "certificate", wanted, renew=True)

    async def _certificate_remove(self, request: Request) -> Response:
        form = await form_of(request)
        return await self._ordered(request, text_of(form, "token"), "certificate_remove", {}, renew=True)

    async def _end_session(self, request: Request) -> Response:
        session, form = self._session(request), await form_of(request)
        if session is None or not self._sessions.is_of_form(request.cookies, text_of(form, "token")):
            return self._expired(request)
        wanted = request.path_params["id"]
        mine = {found.id for found, _ in self._sessions.everybody() if found.user == session.user}
        if wanted not in mine and Right.SECURITY not in session.rights:
            return self._pages.not_found(request)
        self._sessions.end_by_id(wanted)
        return RedirectResponse("/access", 303)

    async def _reload(self, request: Request) -> Response:
        session, form = self._session(request), await form_of(request)
        if session is None or not self._sessions.is_of_form(request.cookies, text_of(form, "token")):
            return self._expired(request)
        try:
            wanted = {"confirmed": "yes"} if text_of(form, "confirmed") else {}
            done = await self._core.order("reload", Reloaded, origin_of(request, session), **wanted)
        except OperationRefused as exc:
            return self._refused(request, str(exc))
        if done.confirm:
            return self._pages.render(request, "confirm", 409, lines=done.confirm)
        words = words_of(request)
        text = f"{done.points} {words('Points')}, {done.servers} {words('Servers')}"
        lines = done.faults or [text]
        title = "The files have faults: everything stays as it was" if done.faults else "The files have been loaded"
        status = 409 if done.faults else 200
        return self._pages.render(request, "message", status, title=title, text="", lines=lines)

    async def _ordered(
        self,
        request: Request,
        token: str,
        what: str,
        arguments: Mapping[str, str],
        afterwards: Callable[[], None] = lambda: None,
        renew: bool = False,
    ) -> Response:
        session = self._session(request)
        if session is None or not self._sessions.is_of_form(request.cookies, token):
            return self._expired(request)
        try:
            await self._core.order(what, dict[str, str], origin_of(request, session), **arguments)
        except OperationRefused as exc:
            return self._refused(request, str(exc))
        afterwards()
        # the answer goes out before the listener is closed
        later = BackgroundTask(self._renew) if renew else None
        return RedirectResponse("/access", 303, background=later)

    def _session(self, request: Request) -> Session | None:
        return self._sessions.of(request.cookies, peer_of(request))

    def _expired(self, request: Request) -> Response:
        return self._pages.render(request, "message", 403, title="Access", text=EXPIRED)

    def _refused(self, request: Request, why: str) -> Response:
        return self._pages.render(request, "message", 403, title="The bridge refuses", text=why)


def origin_of(request: Request, session: Session | None) -> Origin:
    """Return in whose name something is asked for."""
    return Origin("web", peer_of(request), session.user if session is not None else "")
