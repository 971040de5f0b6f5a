"""Who may come in: certificates of channels, names and passwords of users, and what each role may do."""

import logging
from datetime import UTC, datetime
from typing import Any

import argon2
from asyncua import Server, ua
from asyncua.crypto.permission_rules import User as LibraryUser
from asyncua.crypto.permission_rules import UserRole
from asyncua.server.user_managers import UserManager

from bridge.core.clock import Clock
from bridge.projections.opcua.pki import CERTIFICATE_MOST, Pki, is_current, load, make_own, thumbprint
from bridge.projections.opcua.plan import Admission, Mode, Plan, Policy, Role

_log = logging.getLogger("bridge.opcua")
_codes, _types = ua.StatusCodes, ua.SecurityPolicyType
_POLICIES = {
    (Policy.BASIC256SHA256, Mode.SIGN): _types.Basic256Sha256_Sign,
    (Policy.BASIC256SHA256, Mode.SIGN_AND_ENCRYPT): _types.Basic256Sha256_SignAndEncrypt,
    (Policy.AES256_SHA256_RSAPSS, Mode.SIGN): _types.Aes256Sha256RsaPss_Sign,
    (Policy.AES256_SHA256_RSAPSS, Mode.SIGN_AND_ENCRYPT): _types.Aes256Sha256RsaPss_SignAndEncrypt,
}
# S3: so many wrong passwords for a name, then nobody of that name for so long.
TRIES, LOCKED_NS = 8, 600 * 10**9
# Names of wrong tries that are remembered.
_NAMES_MOST = 1000


class Users(UserManager):
    """Users of the plan. The library's roles are not ours: no client is ever its Admin."""

    def __init__(self, plan: Plan, clock: Clock, counters: dict[str, int]) -> None:
        self._users, self._clock, self._counters = plan.users, clock, counters
        self._anonymous = plan.security.anonymous is Admission.ALLOWED
        self._by_certificate = {user.certificate: name for name, user in plan.users.items() if user.certificate}
        self._hasher = argon2.PasswordHasher()
        # name -> wrong tries, when the last was
        self._wrong: dict[str, tuple[int, int]] = {}

    def role_of(self, user: LibraryUser) -> Role:
        known = self._users.get(user.name or "")
        return known.role if known is not None else Role.VIEWER

    def get_user(
        self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> LibraryUser | None:
        """Return None for a user who may not come in."""
        del iserver
        if username is not None:
            return self._by_password(username, password or "")
        if certificate is not None and (name := self._by_certificate.get(thumbprint(bytes(certificate)))) is not None:
            return LibraryUser(role=UserRole.User, name=name)
        if self._anonymous and certificate is None:
            return LibraryUser(role=UserRole.User, name="")
        self._refused("anonymous" if certificate is None else "certificate")
        return None

    def _by_password(self, name: str, password: str) -> LibraryUser | None:
        now_ns = self._clock.monotonic_ns()
        tries, since_ns = self._wrong.get(name, (0, now_ns))
        if tries >= TRIES and now_ns - since_ns < LOCKED_NS:
            self._refused("locked")
            return None
        known = self._users.get(name)
        if known is None or known.password is None or not self._matches(known.password, password):
            if len(self._wrong) >= _NAMES_MOST:
                self._wrong.clear()
            self._wrong[name] = (tries % TRIES + 1, now_ns)
            self._refused("password")
            return None
        self._wrong.pop(name, None)
        return LibraryUser(role=UserRole.User, name=name)

    def _matches(self, wanted: str, password: str) -> bool:
        try:
            return self._hasher.verify(wanted, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    def _refused(self, why: str) -> None:
        self._counters["refused_users"] += 1
        _log.warning("refused_user reason=%s", why)


class Doors:
    """The channel's door: which certificates may open one."""

    def __init__(self, pki: Pki, clock: Clock, counters: dict[str, int]) -> None:
        self._pki, self._clock, self._counters = pki, clock, counters

    def trusted(self, der: bytes, peer: str) -> int:
        """Return 0, or the StatusCode that says why not; keep the certificate for the operator."""
        code = self._code(der)
        if code:
            self._counters["refused_certificates"] += 1
            _log.warning("refused_certificate peer=%s thumbprint=%s", peer, thumbprint(der))
        return code

    def _code(self, der: bytes) -> int:
        if len(der) > CERTIFICATE_MOST:
            return _codes.BadCertificateInvalid
        try:
            if not is_current(load(der), self._clock.utc_ns()):
                return _codes.BadCertificateTimeInvalid
            if self._pki.is_trusted(der):
                return 0
            self._pki.reject(der)
        except ValueError:
            return _codes.BadCertificateInvalid
        except OSError as exc:
            _log.error("trust_list_unreadable error=%s", exc.strerror)
        # the client is told no more than this (OPC 10000-4, 6.1.3)
        return _codes.BadSecurityChecksFailed


async def set_up(server: Server, plan: Plan, pki: Pki, hosts: tuple[str, ...], clock: Clock) -> None:
    """Tell the library what to offer. Raises: OSError."""
    security = plan.security
    offered = [_POLICIES[policy, mode] for policy in security.policies for mode in security.modes]
    pki.prepare()
    if offered:
        now = datetime.fromtimestamp(clock.utc_ns() / 1e9, UTC)
        make_own(pki, plan.application_uri, plan.application_name, hosts, now)
        await server.load_certificate(pki.certificate)
        await server.load_private_key(pki.key)
    if security.no_security is Admission.ALLOWED:
        offered.append(_types.NoSecurity)
    server.set_security_policy(offered)
    tokens: list[type] = []
    if security.anonymous is Admission.ALLOWED:
        tokens.append(ua.AnonymousIdentityToken)
    if any(user.password for user in plan.users.values()):
        tokens.append(ua.UserNameIdentityToken)
    if any(user.certificate for user in plan.users.values()):
        tokens.append(ua.X509IdentityToken)
    server.set_identity_tokens(tokens)
