"""Who has logged in: sessions in memory, cookies, and the tokens that tie a form to its page."""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response

from bridge.core.clock import Clock
from bridge.core.login import LoginResult
from bridge.core.rights import Right

# s in all after which one has to log in again
_LIFE_S = 28_800
# Sessions at once; the one that was idle longest ends
_MOST = 100
_TOKEN_BYTES = 32


@dataclass(slots=True)
class Session:
    """
    `id`: what it is called on a page, not what opens it. `peer`: the address that logged in; no other may use it.
    `rights`: as the core gave them at the login; it judges every command by itself again.
    """

    id: str
    peer: str
    user: str
    role: str
    rights: frozenset[Right]
    began_ns: int
    seen_ns: int

    @property
    def may_act(self) -> bool:
        """Whether the role goes beyond looking."""
        return bool(self.rights - {Right.READ})


@dataclass(frozen=True, slots=True)
class Form:
    """`token`: its hidden field. `new_cookie`: what ties it to a browser that has no cookie of ours yet."""

    token: str
    new_cookie: str


class Sessions:
    """Loop thread only. `secure`: over TLS; then the cookies go nowhere else. `idle_s`: the end of a silent session."""

    def __init__(self, clock: Clock, secure: bool, idle_s: int) -> None:
        self._clock, self._secure, self._idle_ns = clock, secure, idle_s * 10**9
        self._sessions: dict[str, Session] = {}
        self._secret = secrets.token_bytes(_TOKEN_BYTES)
        # the prefix makes a browser refuse the cookie from another host, path or without TLS
        prefix = "__Host-" if secure else ""
        self._name, self._form_name = f"{prefix}meterbridge", f"{prefix}meterbridge-form"

    def begin(self, user: str, peer: str, result: LoginResult, response: Response) -> None:
        """Log a user in: a new token, whatever cookie there was."""
        now_ns = self._clock.monotonic_ns()
        if len(self._sessions) >= _MOST:
            del self._sessions[min(self._sessions, key=lambda token: self._sessions[token].seen_ns)]
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        shown = secrets.token_hex(6)
        self._sessions[token] = Session(shown, peer, user, result.role, frozenset(result.rights), now_ns, now_ns)
        self._set(response, self._name, token)

    def of(self, cookies: Mapping[str, str], peer: str) -> Session | None:
        """Return the session of a request, if there is one of this address that has not ended."""
        self._end_old()
        session = self._sessions.get(cookies.get(self._name, ""))
        if session is None or session.peer != peer:
            return None
        session.seen_ns = self._clock.monotonic_ns()
        return session

    def everybody(self) -> list[tuple[Session, int]]:
        """Return every session and the seconds since its last request, the newest login first."""
        self._end_old()
        now_ns = self._clock.monotonic_ns()
        return [(session, (now_ns - session.seen_ns) // 10**9) for session in reversed(self._sessions.values())]

    def end_by_id(self, shown: str) -> None:
        """End the session with this id, or none."""
        self._sessions = {token: session for token, session in self._sessions.items() if session.id != shown}

    def end_of(self, user: str) -> None:
        """End every session of a user."""
        self._sessions = {token: session for token, session in self._sessions.items() if session.user != user}

    def end(self, cookies: Mapping[str, str], response: Response) -> None:
        self._sessions.pop(cookies.get(self._name, ""), None)
        response.delete_cookie(self._name, path="/", secure=self._secure, httponly=True, samesite="strict")

    def form(self, cookies: Mapping[str, str]) -> Form:
        """Return what a page with a form needs."""
        tied = cookies.get(self._name) or cookies.get(self._form_name) or ""
        new = "" if tied else secrets.token_urlsafe(_TOKEN_BYTES)
        return Form(self._token(tied or new), new)

    def keep(self, form: Form, response: Response) -> None:
        """Tie the form to the browser."""
        if form.new_cookie:
            self._set(response, self._form_name, form.new_cookie)

    def is_of_form(self, cookies: Mapping[str, str], token: str) -> bool:
        """Tell whether the token of a form belongs to this browser."""
        tied = cookies.get(self._name) or cookies.get(self._form_name) or ""
        return bool(tied) and hmac.compare_digest(self._token(tied).encode(), token.encode("utf-8", "replace"))

    def _end_old(self) -> None:
        now_ns = self._clock.monotonic_ns()
        for token, session in list(self._sessions.items()):
            if now_ns - session.seen_ns > self._idle_ns or now_ns - session.began_ns > _LIFE_S * 10**9:
                del self._sessions[token]

    def _token(self, tied: str) -> str:
        return hmac.digest(self._secret, tied.encode("utf-8", "replace"), "sha256").hex()

    def _set(self, response: Response, name: str, value: str) -> None:
        response.set_cookie(name, value, path="/", secure=self._secure, httponly=True, samesite="strict")
