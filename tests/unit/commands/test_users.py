"""bridge.commands.users, lockout and logins"""

import asyncio
import stat
from pathlib import Path

import pytest

from bridge.commands.audit_files import records
from bridge.commands.chain import Record
from bridge.commands.lockout import Lockouts
from bridge.commands.logins import WAITING, Logins
from bridge.commands.policy import Roles
from bridge.commands.users import SETUP, TOKEN_FILE, UserError, UserFile, fits, hash_of
from bridge.config.access import AccessFile, Lockout
from bridge.core.login import BUSY, LOCKED, WRONG, Admission, LoginResult
from bridge.core.rights import Right
from bridge.core.secret import Secret
from tests.support.policy_site import Bench

GOOD = Secret("correct horse")
BAD = Secret("battery staple")
PEER = "192.0.2.9:50123"
MINUTE_NS = 60 * 10**9


async def check_now(hashed: str, password: Secret) -> bool:
    return fits(hashed, password)


class LoginBench(Bench):
    """A bridge with the user anna, a technician."""

    def __init__(self, state_dir: Path, lockout: Lockout | None = None) -> None:
        super().__init__(state_dir)
        self.users = UserFile(state_dir)
        self.logins = Logins(self.users, self.audit, self.clock, check_now)
        self.logins.apply(lockout or Lockout(), Roles(AccessFile(), self.logins.role_of))

    async def login(
        self, user: str = "anna", password: Secret = GOOD, protocol: str = "web", peer: str = PEER
    ) -> LoginResult:
        return await self.logins.login(protocol, peer, user, password)

    def recorded(self) -> list[Record]:
        return [record for record in records(self.folder) if record.kind == "login"]


@pytest.fixture
def bench(tmp_path: Path) -> LoginBench:
    made = LoginBench(tmp_path)
    made.users.add("anna", "technician", GOOD, 8)
    return made


def test_a_hash_is_argon2id_and_never_the_same_twice() -> None:
    # BARS S3
    one, other = hash_of(GOOD), hash_of(GOOD)

    assert one.startswith("$argon2id$v=19$m=32768,t=3,p=1$")
    assert one != other
    assert fits(one, GOOD)
    assert not fits(one, BAD)
    assert not fits("nonsense", GOOD)


def test_the_file_is_for_the_owner_only_and_holds_no_password(bench: LoginBench, tmp_path: Path) -> None:
    path = tmp_path / "users.json"

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert GOOD.reveal() not in path.read_text()


def test_a_file_that_others_can_read_lets_nobody_in(bench: LoginBench, tmp_path: Path) -> None:
    (tmp_path / "users.json").chmod(0o644)

    with pytest.raises(UserError, match="expected mode 0600"):
        bench.users.read()


def test_fifty_users_and_more(tmp_path: Path) -> None:
    #
    file = UserFile(tmp_path)
    for n in range(51):
        file.add(f"user{n}", "viewer", GOOD, 8)

    assert len(file.read().users) == 51


@pytest.mark.parametrize(
    "name", ["", "a b", "a/b", "setup", "x" * 33, "\u00e9", ".hidden", "a\n"], ids=lambda name: repr(name)
)
def test_names_are_plain(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError):
        UserFile(tmp_path).add(name, "viewer", GOOD, 8)


@pytest.mark.parametrize("password", ["short", "x" * 129, "with\nbreak1", "ANNA", "aaaaaaaaaa", ""])
def test_a_poor_password_is_refused_and_not_repeated(tmp_path: Path, password: str) -> None:
    #
    with pytest.raises(UserError) as caught:
        UserFile(tmp_path).add("anna", "viewer", Secret(password), 4 if password == "ANNA" else 8)

    assert not password or password not in str(caught.value)


def test_changes_are_told_apart(bench: LoginBench) -> None:
    bench.users.set_locked("anna", locked=True)
    assert bench.users.read().users["anna"].locked
    bench.users.set_password("anna", BAD, 8)
    assert fits(bench.users.read().users["anna"].hash, BAD)
    bench.users.remove("anna")
    assert bench.users.read().users == {}
    with pytest.raises(UserError, match="expected a user"):
        bench.users.remove("anna")
    with pytest.raises(UserError, match="expected a user"):
        bench.users.set_locked("bob", locked=True)


async def test_the_right_password_is_admitted_with_its_rights_and_recorded(bench: LoginBench) -> None:
    result = await bench.login()

    assert (result.admission, result.role) == (Admission.ADMITTED, "technician")
    assert Right.CONFIGURATION in result.rights
    assert Right.SECURITY not in result.rights
    (record,) = bench.recorded()
    assert (record.result, record.user, record.protocol, record.peer) == ("admitted", "anna", "web", "192.0.2.9")


async def test_wrong_user_and_wrong_password_look_the_same(bench: LoginBench) -> None:
    assert await bench.login(password=BAD) == await bench.login("nobody") == WRONG


async def test_a_name_that_does_not_exist_is_not_recorded_for_it_may_be_a_password(bench: LoginBench) -> None:
    await bench.login("correct horse")

    assert [record.user for record in bench.recorded()] == ["(unknown)"]


async def test_eight_bad_tries_lock_protocol_and_address_for_ten_minutes(bench: LoginBench) -> None:
    # X-05, BARS S3
    for _ in range(8):
        assert await bench.login(password=BAD) == WRONG
    assert await bench.login() == LOCKED
    assert await bench.login(peer="192.0.2.9:1") == LOCKED
    assert (await bench.login(protocol="opcua")).admission is Admission.ADMITTED
    assert (await bench.login(peer="192.0.2.10:1")).admission is Admission.ADMITTED
    await asyncio.sleep(599)
    assert await bench.login() == LOCKED
    await asyncio.sleep(2)
    assert (await bench.login()).admission is Admission.ADMITTED


async def test_the_right_password_forgets_wrong_tries(bench: LoginBench) -> None:
    for _ in range(3):
        for _ in range(7):
            await bench.login(password=BAD)
        assert (await bench.login()).admission is Admission.ADMITTED


async def test_tries_at_once_cannot_pass_the_limit(bench: LoginBench) -> None:
    results = await asyncio.gather(*(bench.login(password=BAD) for _ in range(WAITING)))

    assert results.count(WRONG) == 8
    assert results.count(LOCKED) == 8


async def test_more_tries_at_once_than_are_hashed_are_told_busy(bench: LoginBench) -> None:
    hold = asyncio.Event()

    async def slow(hashed: str, password: Secret) -> bool:
        del hashed, password
        await hold.wait()
        return False

    logins = Logins(bench.users, bench.audit, bench.clock, slow)
    waiting = [asyncio.ensure_future(logins.login("web", f"10.0.0.{n}", "anna", BAD)) for n in range(WAITING)]
    await asyncio.sleep(1)

    assert await logins.login("web", "10.1.0.1", "anna", BAD) == BUSY
    hold.set()
    await asyncio.gather(*waiting)


async def test_a_locked_user_is_out_at_once_sessions_included(bench: LoginBench) -> None:
    await bench.login()
    assert bench.logins.role_of("web", "anna") == "technician"

    bench.users.set_locked("anna", locked=True)

    assert bench.logins.role_of("web", "anna") is None
    assert await bench.login() == LOCKED


async def test_a_role_belongs_to_those_who_logged_in_on_that_protocol(bench: LoginBench) -> None:
    await bench.login(protocol="web")

    assert bench.logins.role_of("snmp", "anna") is None


async def test_there_is_no_default_password_but_a_token_for_the_owner_that_works_once(tmp_path: Path) -> None:
    # X-01, BARS S3
    bench = LoginBench(tmp_path)
    path = bench.users.offer_token(bench.clock.utc_ns())
    assert path == tmp_path / TOKEN_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    token = Secret(path.read_text().strip())

    assert (await bench.login(SETUP, BAD)) == WRONG
    assert (await bench.login(SETUP, token)).role == "administrator"
    assert (await bench.login(SETUP, token)) == WRONG
    assert not path.exists()


async def test_the_token_ends_with_the_first_user_and_after_a_day(tmp_path: Path) -> None:
    bench = LoginBench(tmp_path)
    path = bench.users.offer_token(bench.clock.utc_ns())
    assert path is not None
    token = Secret(path.read_text().strip())
    await asyncio.sleep(86_401)
    assert await bench.login(SETUP, token) == WRONG

    bench.users.add("anna", "viewer", GOOD, 8)

    assert not path.exists()
    assert bench.users.offer_token(bench.clock.utc_ns()) is None


def test_lockouts_of_many_addresses_keep_little() -> None:
    lockouts = Lockouts(Lockout(tries=1))
    for n in range(10_000):
        lockouts.wrong("web", f"10.0.{n // 256}.{n % 256}", 0)

    assert lockouts.locked("web", "10.0.39.15", MINUTE_NS)
    assert not lockouts.locked("web", "10.0.0.0", MINUTE_NS)
