"""Who may come in: users and locks on a clock of its own, certificates in a folder."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import argon2
import pytest

from bridge.app.trust import TrustList
from bridge.projections.opcua.doors import LOCKED_NS, TRIES, Doors, Users
from bridge.projections.opcua.pki import REJECTED_MOST, Pki, make_own, thumbprint, uris_of
from bridge.projections.opcua.plan import Plan, Role
from tests.support.modbus_site import site
from tests.support.opcua_site import projected

FACTS = site(1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HASHED = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash("right")


@dataclass
class Watch:
    """Clock that stands still until told."""

    now_ns: int = 0

    def utc_ns(self) -> int:
        return round(NOW.timestamp() * 1e9) + self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns


def users(clock: Watch, **security: str) -> Users:
    people = {"ada": {"role": "operator", "password": HASHED}, "cert": {"role": "viewer", "certificate": "ab" * 20}}
    plan = projected(FACTS, 4840, users=people, security=security).plan
    assert isinstance(plan, Plan)
    return Users(plan, clock, {"refused_users": 0})


def let_in(found: Users, name: str, password: str) -> bool:
    return found.get_user(None, username=name, password=password) is not None


def test_the_right_password_and_nothing_else() -> None:
    found = users(Watch())

    assert let_in(found, "ada", "right")
    assert not any(let_in(found, name, word) for name, word in (("ada", "wrong"), ("bob", "right"), ("cert", "")))


# S3
def test_wrong_tries_lock_a_name_for_ten_minutes_and_nobody_else() -> None:
    clock = Watch()
    found = users(clock)
    for _ in range(TRIES):
        let_in(found, "ada", "wrong")
    locked = let_in(found, "ada", "right")
    clock.now_ns += LOCKED_NS - 1
    still = let_in(found, "ada", "right")
    clock.now_ns += 1

    assert (locked, still, let_in(found, "ada", "right")) == (False, False, True)


def test_a_right_password_forgives_the_wrong_ones_before() -> None:
    found = users(Watch())
    for _ in range(3):
        for _ in range(TRIES - 1):
            let_in(found, "ada", "wrong")
        assert let_in(found, "ada", "right")


def test_nameless_users_are_viewers_where_they_are_let_in() -> None:
    nobody = users(Watch()).get_user(None)
    somebody = users(Watch(), anonymous="allowed").get_user(None)

    assert nobody is None
    assert somebody is not None
    assert users(Watch()).role_of(somebody) is Role.VIEWER


def test_an_unknown_certificate_is_no_anonymous_user() -> None:
    found = users(Watch(), anonymous="allowed")

    assert found.get_user(None, certificate=b"any") is None


def certificate(folder: Path, name: str, made: datetime = NOW) -> bytes:
    pki = Pki(folder / name)
    pki.prepare()
    make_own(pki, f"urn:{name}", name, ("localhost", "127.0.0.1"), made)
    return pki.certificate.read_bytes()


def test_a_certificate_is_trusted_when_it_lies_in_the_folder_and_from_then_on(tmp_path: Path) -> None:
    pki, der = Pki(tmp_path / "state" / "opcua" / "pki"), certificate(tmp_path, "client")
    pki.prepare()
    doors = Doors(pki, Watch(), {"refused_certificates": 0})
    first = doors.trusted(der, "peer")
    TrustList(tmp_path / "state").trust(thumbprint(der)[:8])

    assert first != 0
    assert doors.trusted(der, "peer") == 0
    assert uris_of(der) == ["urn:client"]


def test_an_expired_certificate_is_refused_even_if_it_is_trusted(tmp_path: Path) -> None:
    pki, der = Pki(tmp_path / "pki"), certificate(tmp_path, "client", NOW - timedelta(days=4000))
    pki.prepare()
    (pki.trusted / "client.der").write_bytes(der)

    assert Doors(pki, Watch(), {"refused_certificates": 0}).trusted(der, "peer") != 0
    assert not list(pki.rejected.iterdir())


@pytest.mark.parametrize("der", [b"", b"\x30\x82", b"x" * 100_000, b"-----BEGIN CERTIFICATE-----"])
def test_what_is_no_certificate_is_refused_and_not_kept(tmp_path: Path, der: bytes) -> None:
    pki = Pki(tmp_path / "pki")
    pki.prepare()

    assert Doors(pki, Watch(), {"refused_certificates": 0}).trusted(der, "peer") != 0
    assert not list(pki.rejected.iterdir())


def test_the_rejected_folder_does_not_grow_without_end(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    pki.prepare()
    for number in range(REJECTED_MOST + 15):
        pki.reject(number.to_bytes(4, "big"))

    assert len(list(pki.rejected.iterdir())) == REJECTED_MOST


def test_own_key_and_certificate_are_made_once_and_for_us_alone(tmp_path: Path) -> None:
    first = certificate(tmp_path, "own")
    again = certificate(tmp_path, "own")

    assert first == again
    assert (tmp_path / "own" / "own" / "key.pem").stat().st_mode & 0o777 == 0o600
