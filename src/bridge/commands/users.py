"""
The users of a bridge, in a file of their own that only its owner can read.

The rule one must not break: what is in here besides names and roles is hashes; passwords pass through and stay nowhere.
"""

import fcntl
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from bridge.commands.resets import write_whole
from bridge.core.errors import BridgeError
from bridge.core.secret import Secret

FILE = "users.json"
TOKEN_FILE = "first-run-token"
# The name that logs in with the token of the first run, and its role
SETUP, SETUP_ROLE = "setup", "administrator"
MOST_USERS = 500
# Characters; argon2 takes more, a person types less
PASSWORD_MOST = 128
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}\Z")
# RFC 9106, 4 asks for as much memory as one can spare: 32 MiB and three passes are some 50 ms here, one at a time
_HASHER = PasswordHasher(time_cost=3, memory_cost=32_768, parallelism=1)
# ns that the token of the first run is good for
TOKEN_NS = 86_400_000_000_000


class UserError(BridgeError):
    """A change of the users that cannot be made; the message is for a person."""


class User(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`hash`: argon2id, with its salt and parameters."""

    role: str
    hash: str
    locked: bool = False

    def __repr__(self) -> str:
        return f"User(role={self.role!r}, locked={self.locked})"


class Users(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file. `token`, `token_ns`: hash of the first run's token, and the UTC ns it was made."""

    users: dict[str, User] = {}
    token: str = ""
    token_ns: int = 0

    def __repr__(self) -> str:
        return f"Users({', '.join(self.users)})"


class UserFile:
    """Any process of the owner. A change is whole, made alone, and seen by a running bridge at the next login."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE
        self._token_path = state_dir / TOKEN_FILE
        self._seen: tuple[int, int, int] | None = None
        self._users = Users()

    def read(self) -> Users:
        """
        Return the users as the file has them now; no file = nobody.

        Raises: UserError for a file that is damaged, or that others can read: then nobody is let in.
        """
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._seen = None
            return Users()
        except OSError as exc:
            raise UserError(f"{self._path}: {exc.strerror}") from exc
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UserError(f"{self._path}: expected mode 0600, found {stat.S_IMODE(status.st_mode):04o}")
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen != self._seen:
            try:
                self._users = msgspec.json.decode(self._path.read_bytes(), type=Users)
            except (OSError, msgspec.DecodeError) as exc:
                raise UserError(f"{self._path}: no file of users") from exc
            self._seen = seen
        return self._users

    def add(self, name: str, role: str, password: Secret, min_length: int) -> None:
        """Raises: UserError."""
        if NAME.match(name) is None or name == SETUP:
            raise UserError(f"expected a name of at most 32 letters, digits and ._-, other than {SETUP}")
        check_password(name, password, min_length)
        hashed = hash_of(password)
        with self._changing() as users:
            if name in users:
                raise UserError(f"expected a new name, found {name}, which exists")
            if len(users) >= MOST_USERS:
                raise UserError(f"expected at most {MOST_USERS} users")
            users[name] = User(role=role, hash=hashed)

    def set_password(self, name: str, password: Secret, min_length: int) -> None:
        """Raises: UserError."""
        check_password(name, password, min_length)
        hashed = hash_of(password)
        self._change(name, lambda user: msgspec.structs.replace(user, hash=hashed))

    def set_locked(self, name: str, locked: bool) -> None:
        """Raises: UserError."""
        self._change(name, lambda user: msgspec.structs.replace(user, locked=locked))

    def remove(self, name: str) -> None:
        """Raises: UserError."""
        with self._changing() as users:
            if users.pop(name, None) is None:
                raise UserError(f"expected a user, found {name}")

    def offer_token(self, utc_ns: int) -> Path | None:
        """
        When there is no user yet: leave a one-time token in a file for the owner and return its path. There is no
        default password to forget.
        """
        if self.read().users:
            return None
        token = Secret(secrets.token_urlsafe(18))
        self._save(Users(token=hash_of(token), token_ns=utc_ns))
        write_whole(self._token_path, token.reveal().encode() + b"\n")
        return self._token_path

    def use_token(self) -> None:
        """The token has been used: it never works again."""
        self._save(msgspec.structs.replace(self.read(), token="", token_ns=0))
        self._token_path.unlink(missing_ok=True)

    def _change(self, name: str, change: Callable[[User], User]) -> None:
        with self._changing() as users:
            if name not in users:
                raise UserError(f"expected a user, found {name}")
            users[name] = change(users[name])

    @contextmanager
    def _changing(self) -> Iterator[dict[str, User]]:
        """Have the file for oneself; what is left in the mapping is saved. The token ends with the first user."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(self._path.with_suffix(".lock"), "ab", opener=_private) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            users = dict(self.read().users)
            yield users
            self._save(Users(users=users))
            self._token_path.unlink(missing_ok=True)

    def _save(self, users: Users) -> None:
        try:
            write_whole(self._path, msgspec.json.format(msgspec.json.encode(users)))
        except OSError as exc:
            raise UserError(f"{self._path}: {exc.strerror}") from exc


def check_password(name: str, password: Secret, min_length: int) -> None:
    """Raises: UserError that never repeats the password (X-04)."""
    if not min_length <= len(password) <= PASSWORD_MOST:
        raise UserError(f"expected a password of {min_length} to {PASSWORD_MOST} characters")
    if not password.reveal().isprintable():
        raise UserError("expected a password of printable characters")
    if password.reveal().casefold() == name.casefold():
        raise UserError("expected a password other than the name")
    if len(set(password.reveal())) < 3:
        raise UserError("expected a password of more than two different characters")


def hash_of(password: Secret) -> str:
    """Return the argon2id hash; some 50 ms."""
    return _HASHER.hash(password.reveal().encode("utf-8", "replace"))


def fits(hashed: str, password: Secret) -> bool:
    """Tell whether the hash is of this password; some 50 ms whatever the answer."""
    try:
        return _HASHER.verify(hashed, password.reveal().encode("utf-8", "replace"))
    except (VerificationError, InvalidHashError):
        return False


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
