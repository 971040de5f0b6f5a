"""Who may log in: checks passwords for every server that has users, counts the wrong ones, records all of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from bridge.commands.audit import Audit
from bridge.commands.chain import Fact
from bridge.commands.lockout import Lockouts
from bridge.commands.policy import Roles, host_of
from bridge.commands.users import NAME, SETUP, SETUP_ROLE, TOKEN_NS, UserError, UserFile, fits, hash_of
from bridge.config.access import Lockout
from bridge.core.clock import Clock
from bridge.core.login import BUSY, LOCKED, WRONG, Admission, LoginResult
from bridge.core.rights import ROLES, Right
from bridge.core.secret import Secret

log = logging.getLogger("bridge.commands")
# Tries that wait for the one that is hashed; more of them are told to come again
WAITING = 16
# (protocol, user) pairs that have logged in; a protocol without logins has none, so nobody borrows a name there
_ADMITTED_KEPT = 2000
# (hash, password) -> whether they fit, off the loop
Check = Callable[[str, Secret], Awaitable[bool]]
# reason of the wrong try that locks out: recorded by itself, however many others are counted together
_LOCKS = "locked out now"


class Logins:
    """Loop thread only; one password is hashed at a time."""

    def __init__(self, users: UserFile, audit: Audit, clock: Clock, check: Check | None = None) -> None:
        self._users, self._audit, self._clock = users, audit, clock
        self._check = check or _in_a_thread
        self._turn, self._waiting = asyncio.Lock(), 0
        self._lockouts = Lockouts(Lockout())
        self._roles: Roles | None = None
        self._admitted: dict[tuple[str, str], None] = {}
        # what an unknown name is checked against, so that it takes as long as a known one
        self._nobody = hash_of(Secret("nobody has this password"))

    def apply(self, settings: Lockout, roles: Roles) -> None:
        """Take over a configuration; who is locked out stays so only if the settings are the same."""
        if settings != self._lockouts.settings:
            self._lockouts = Lockouts(settings)
        self._roles = roles

    def role_of(self, protocol: str, user: str) -> str | None:
        """Return the role of a user who has logged in on this protocol, as the file has it now."""
        if (protocol, user) not in self._admitted:
            return None
        if user == SETUP:
            return SETUP_ROLE
        try:
            found = self._users.read().users.get(user)
        except UserError:
            return None
        return found.role if found is not None and not found.locked else None

    async def login(self, protocol: str, peer: str, user: str, password: Secret) -> LoginResult:
        """See `core.ports.Authenticator`."""
        host = host_of(peer)
        if self._lockouts.locked(protocol, host, self._clock.monotonic_ns()):
            await self._record(protocol, host, user, LOCKED, "too many wrong tries before")
            return LOCKED
        if self._waiting >= WAITING:
            return BUSY
        self._waiting += 1
        try:
            async with self._turn:
                return await self._in_turn(protocol, host, user, password)
        finally:
            self._waiting -= 1

    async def _in_turn(self, protocol: str, host: str, user: str, password: Secret) -> LoginResult:
        if self._lockouts.locked(protocol, host, self._clock.monotonic_ns()):
            return LOCKED
        try:
            hashed, role, locked = self._found(user)
        except UserError as exc:
            log.error("users_unreadable %s", exc)
            hashed, role, locked = "", "", False
        right = await self._check(hashed or self._nobody, password) and bool(hashed)
        if not right:
            locks = self._lockouts.wrong(protocol, host, self._clock.monotonic_ns())
            await self._record(protocol, host, user, WRONG, _LOCKS if locks else "")
            return WRONG
        if locked or not self._known(role):
            await self._record(protocol, host, user, LOCKED, "the user is locked" if locked else f"no role {role}")
            return LOCKED
        self._lockouts.right(protocol, host)
        if user == SETUP:
            self._users.use_token()
        self._admit(protocol, user)
        result = LoginResult(Admission.ADMITTED, role, self._rights(role))
        await self._record(protocol, host, user, result, "")
        return result

    def _found(self, user: str) -> tuple[str, str, bool]:
        """Return hash, role and lock of a user; an empty hash for nobody. Raises: UserError."""
        users = self._users.read()
        if user == SETUP and users.token and 0 <= self._clock.utc_ns() - users.token_ns < TOKEN_NS:
            return users.token, SETUP_ROLE, False
        found = users.users.get(user) if NAME.match(user) else None
        return ("", "", False) if found is None else (found.hash, found.role, found.locked)

    def _known(self, role: str) -> bool:
        return self._roles is not None and self._roles.knows(role)

    def _rights(self, role: str) -> tuple[Right, ...]:
        own = self._roles.rights(role) if self._roles is not None else ROLES.get(role, frozenset())
        return tuple(right for right in Right if right in own)

    def _admit(self, protocol: str, user: str) -> None:
        self._admitted.pop((protocol, user), None)
        self._admitted[protocol, user] = None
        if len(self._admitted) > _ADMITTED_KEPT:
            del self._admitted[next(iter(self._admitted))]

    async def _record(self, protocol: str, host: str, user: str, result: LoginResult, reason: str) -> None:
        """A wrong name may be a password typed into the wrong field: only names that exist are recorded."""
        fact = Fact(
            kind="login",
            result=result.admission.value,
            protocol=protocol,
            peer=host,
            user=user if self._exists(user) else "(unknown)",
            role=result.role,
            reason=reason,
        )
        if result.admission is not Admission.ADMITTED and reason != _LOCKS:
            await self._audit.refused(fact)
            return
        try:
            await self._audit.note(fact)
        except OSError as exc:
            log.error("login_unaudited user=%s error=%s", user, exc.strerror)

    def _exists(self, user: str) -> bool:
        try:
            return user == SETUP or user in self._users.read().users
        except UserError:
            return False


async def _in_a_thread(hashed: str, password: Secret) -> bool:
    return await asyncio.to_thread(fits, hashed, password)
