"""bridge.projections.web.sessions: a session is of one user, one address and some time."""

import pytest
from starlette.responses import Response

from bridge.core.login import Admission, LoginResult
from bridge.core.rights import Right
from bridge.projections.web.sessions import Session, Sessions
from tests.support.clock import ManualClock

ADMITTED = LoginResult(Admission.ADMITTED, "viewer", (Right.READ,))
HERE, THERE = "10.0.0.7", "10.0.0.8"


class Door:
    def __init__(self, idle_s: int = 300) -> None:
        self.clock = ManualClock()
        self.sessions = Sessions(self.clock, secure=True, idle_s=idle_s)

    def log_in(self, user: str = "anna") -> dict[str, str]:
        response = Response()
        self.sessions.begin(user, HERE, ADMITTED, response)
        name, _, rest = response.headers["set-cookie"].partition("=")
        return {name: rest.partition(";")[0]}

    def of(self, cookies: dict[str, str], peer: str = HERE) -> Session | None:
        return self.sessions.of(cookies, peer)


#
@pytest.mark.parametrize("idle_s", [300, 900])
def test_a_silent_session_ends_after_the_time_that_is_set_and_a_busy_one_goes_on(idle_s: int) -> None:
    door = Door(idle_s)
    cookies = door.log_in()
    for _ in range(4):
        door.clock.pass_s(idle_s - 1)
        assert door.of(cookies) is not None

    door.clock.pass_s(idle_s + 1)
    assert door.of(cookies) is None


#
def test_a_session_is_not_transferable_and_every_token_is_another_one() -> None:
    door = Door()
    cookies = [door.log_in() for _ in range(50)]

    assert door.of(cookies[0], THERE) is None
    assert door.of(cookies[0]) is not None
    assert len({value for cookie in cookies for value in cookie.values()}) == 50
    assert all(len(value) >= 43 for cookie in cookies for value in cookie.values())


def test_nobody_stays_for_more_than_a_working_day() -> None:
    door = Door()
    cookies = door.log_in()
    for _ in range(28_800 // 200):
        door.of(cookies)
        door.clock.pass_s(200)

    door.clock.pass_s(1)
    assert door.of(cookies) is None


def test_a_session_can_be_ended_by_what_it_is_called_and_all_of_a_user_at_once() -> None:
    door = Door()
    first, second, other = door.log_in(), door.log_in(), door.log_in("bert")
    shown = door.of(first)
    assert shown is not None
    # what a page shows of a session does not open it
    assert shown.id not in first.values()

    door.sessions.end_by_id(shown.id)
    assert (door.of(first), door.of(second) is not None) == (None, True)
    door.sessions.end_of("anna")
    assert (door.of(second), door.of(other) is not None) == (None, True)
    assert [session.user for session, _ in door.sessions.everybody()] == ["bert"]


def test_the_hundred_and_first_takes_the_place_of_the_one_that_was_silent_longest() -> None:
    door = Door()
    first = door.log_in()
    door.clock.pass_s(1)
    last = [door.log_in() for _ in range(100)][-1]

    assert door.of(first) is None
    assert door.of(last) is not None
