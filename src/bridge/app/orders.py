"""What a user may have done to the bridge itself from a server's page: reload, users, the server's certificate."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bridge.app.bridge import Bridge
from bridge.app.certificates import TlsError, check_pair
from bridge.app.confirm import ConfirmationWanted, Confirmed
from bridge.commands.chain import Fact
from bridge.commands.policy import host_of
from bridge.commands.resets import write_whole
from bridge.commands.users import UserError
from bridge.core.command import Origin
from bridge.core.errors import ConfigErrors, OperationRefused
from bridge.core.rights import Right
from bridge.core.secret import Secret

log = logging.getLogger("bridge.app")
# Files in the folder of the server that asks: its certificate and key, as a user gave them
CERTIFICATE, KEY = "installed.pem", "installed.key"
# Bytes of the two together; a chain of three has 6,000
_PEM_MOST = 12_000
# Faults told of a refused reload
_FAULTS_MOST = 50

Arguments = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Order:
    """`kind`: of its record in the audit. `right`: who may."""

    kind: str
    right: Right
    carry_out: Callable[[Arguments, Origin], Awaitable[Any]]


class Orders:
    """Loop thread only. Whoever asks, the role that the core knows of the user decides."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._orders: Mapping[str, _Order] = {
            "reload": _Order("configuration", Right.CONFIGURATION, self._reload),
            "users": _Order("user", Right.SECURITY, self._users),
            "user_add": _Order("user", Right.SECURITY, self._user_add),
            "user_password": _Order("user", Right.SECURITY, self._user_password),
            "user_lock": _Order("user", Right.SECURITY, self._user_lock),
            "user_unlock": _Order("user", Right.SECURITY, self._user_unlock),
            "user_remove": _Order("user", Right.SECURITY, self._user_remove),
            "certificate": _Order("tls", Right.SECURITY, self._certificate),
            "certificate_remove": _Order("tls", Right.SECURITY, self._certificate_remove),
        }

    async def order(self, what: str, arguments: Arguments, origin: Origin) -> bytes:
        """Raises: OperationRefused."""
        order = self._orders.get(what)
        if order is None:
            raise OperationRefused(f"expected one of {', '.join(self._orders)}, found {what}")
        roles = self._bridge.commands.roles
        role = roles.role_of(origin)
        if not roles.may(role, order.right):
            reason = f"role {role} has no right {order.right.value}" if role else "no role for this peer"
            await self._bridge.commands.audit.refused(_fact(order.kind, "refused", what, origin, role, reason))
            raise OperationRefused(f"{origin.user or 'nobody'} may not: the right `{order.right.value}` is needed")
        try:
            return msgspec.json.encode(await order.carry_out(arguments, origin))
        except (UserError, TlsError) as exc:
            raise OperationRefused(str(exc)) from exc
        except OSError as exc:
            raise OperationRefused(f"{what}: {exc.strerror}") from exc

    async def _reload(self, arguments: Arguments, origin: Origin) -> Any:
        """`confirmed`: that devices become other meters, which is told first (C-06)."""
        nothing: dict[str, Any] = {"faults": [], "confirm": [], "points": 0, "servers": 0}
        try:
            confirmed = Confirmed.YES if arguments.get("confirmed") else Confirmed.NO
            faces = await self._bridge.reload(confirmed, origin)
        except ConfigErrors as exc:
            return nothing | {"faults": [str(error) for error in exc.errors[:_FAULTS_MOST]]}
        except ConfirmationWanted as exc:
            return nothing | {"confirm": list(exc.changes[:_FAULTS_MOST])}
        return nothing | {"points": len(self._bridge.config.points), "servers": len(faces)}

    async def _users(self, _: Arguments, __: Origin) -> Any:
        users = self._bridge.commands.users.read().users
        roles = self._bridge.commands.roles
        rows = [{"name": name, "role": user.role, "locked": user.locked} for name, user in users.items()]
        return {"users": rows, "roles": roles.names()}

    async def _user_add(self, arguments: Arguments, origin: Origin) -> Any:
        name, role = _text(arguments, "name"), _text(arguments, "role")
        if not self._bridge.commands.roles.knows(role):
            raise OperationRefused("expected a role of the site")
        password = Secret(_text(arguments, "password"))
        await asyncio.to_thread(self._bridge.commands.users.add, name, role, password, self._min_length)
        return await self._noted("user", f"added as {role}", name, origin)

    async def _user_password(self, arguments: Arguments, origin: Origin) -> Any:
        name, password = _text(arguments, "name"), Secret(_text(arguments, "password"))
        await asyncio.to_thread(self._bridge.commands.users.set_password, name, password, self._min_length)
        return await self._noted("user", "password changed", name, origin)

    async def _user_lock(self, arguments: Arguments, origin: Origin) -> Any:
        name = _other(arguments, origin)
        self._bridge.commands.users.set_locked(name, locked=True)
        return await self._noted("user", "locked", name, origin)

    async def _user_unlock(self, arguments: Arguments, origin: Origin) -> Any:
        name = _text(arguments, "name")
        self._bridge.commands.users.set_locked(name, locked=False)
        return await self._noted("user", "unlocked", name, origin)

    async def _user_remove(self, arguments: Arguments, origin: Origin) -> Any:
        name = _other(arguments, origin)
        self._bridge.commands.users.remove(name)
        return await self._noted("user", "removed", name, origin)

    async def _certificate(self, arguments: Arguments, origin: Origin) -> Any:
        """Check a certificate and its key, and put both into the server's folder; it takes them over by itself."""
        pem, key = _text(arguments, "certificate"), _text(arguments, "key")
        if len(pem) + len(key) > _PEM_MOST:
            raise OperationRefused(f"expected a certificate and key of at most {_PEM_MOST} characters")
        facts = await asyncio.to_thread(self._install, self._folder(origin), pem, key)
        return await self._noted("tls", "installed", facts, origin)

    async def _certificate_remove(self, _: Arguments, origin: Origin) -> Any:
        for name in (CERTIFICATE, KEY):
            (self._folder(origin) / name).unlink(missing_ok=True)
        return await self._noted("tls", "removed", "back to the server's own", origin)

    def _install(self, folder: Path, pem: str, key: str) -> str:
        """Return the fingerprint. Raises: TlsError, OSError; then what is in use stays."""
        new, new_key = folder / f"new-{CERTIFICATE}", folder / f"new-{KEY}"
        try:
            write_whole(new, pem.encode())
            write_whole(new_key, key.encode())
            now = datetime.fromtimestamp(self._bridge.clock.utc_ns() / 1e9, UTC)
            facts = check_pair(new, new_key, now)
            new_key.replace(folder / KEY)
            new.replace(folder / CERTIFICATE)
        finally:
            new.unlink(missing_ok=True)
            new_key.unlink(missing_ok=True)
        return facts.fingerprint

    def _folder(self, origin: Origin) -> Path:
        """Of the server that asks: the link vouches for its name."""
        return self._bridge.config.state_dir / origin.protocol

    @property
    def _min_length(self) -> int:
        return self._bridge.config.access.passwords.min_length

    async def _noted(self, kind: str, action: str, target: str, origin: Origin) -> Any:
        role = self._bridge.commands.roles.role_of(origin)
        await self._bridge.commands.note(_fact(kind, action, target, origin, role, ""))
        return {}


def _fact(kind: str, result: str, target: str, origin: Origin, role: str, reason: str) -> Fact:
    return Fact(
        kind=kind,
        result=result,
        target=target,
        protocol=origin.protocol,
        peer=host_of(origin.peer),
        user=origin.user,
        role=role,
        reason=reason,
    )


def _text(arguments: Arguments, name: str) -> str:
    return str(arguments.get(name, ""))


def _other(arguments: Arguments, origin: Origin) -> str:
    """Return the user that is meant; nobody closes the door behind himself (X-08)."""
    name = _text(arguments, "name")
    if name == origin.user:
        raise OperationRefused("expected another user than yourself")
    return name
