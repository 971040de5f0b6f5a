"""bridge.host.gate and the buckets: who may come in"""

import pytest

from bridge.core.listener import Listener
from bridge.host.datagrams import PEERS_MOST, Buckets
from bridge.host.gate import WAITING_MOST, Networks, Seats


@pytest.mark.parametrize(
    ("networks", "host", "allowed"),
    [
        ((), "203.0.113.9", True),
        (("10.0.0.0/8",), "10.255.0.1", True),
        (("10.0.0.0/8",), "11.0.0.1", False),
        (("10.0.0.0/8",), "::ffff:10.1.2.3", True),
        (("10.0.0.0/8",), "::ffff:11.1.2.3", False),
        (("10.1.2.3/8",), "10.9.9.9", True),
        (("fe80::/10", "192.0.2.7"), "fe80::1%eth0", True),
        (("fe80::/10", "192.0.2.7"), "192.0.2.7", True),
        (("::/0",), "192.0.2.7", False),
        (("10.0.0.0/8",), "no address", False),
    ],
)
def test_the_allow_list_knows_both_families(networks: tuple[str, ...], host: str, allowed: bool) -> None:  # BARS S4
    assert Networks(networks).allows(host) is allowed


def test_a_network_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="ten"):
        Networks(["ten/8"])


def seats(most: int, per_address: int = 0) -> Seats[str]:
    return Seats(Listener(port=0, max_clients=most, max_per_address=per_address))


def test_silent_connections_take_no_seat() -> None:
    table = seats(2)
    for n in range(100):
        table.come(f"silent {n}", "a")
    table.come("client", "a")

    assert table.sit("client")
    assert table.has_room("a")


def test_one_too_many_gets_no_seat_until_another_leaves() -> None:
    table = seats(2)
    for name in ("1", "2", "3"):
        table.come(name, "a")
    first = [table.sit(name) for name in ("1", "2", "3")]
    table.leave("1")
    table.leave("1")

    assert first == [True, True, False]
    assert table.sit("3")


def test_one_address_may_have_a_limit_of_its_own() -> None:
    table = seats(9, per_address=1)
    for name, host in (("1", "a"), ("2", "a"), ("3", "b")):
        table.come(name, host)

    assert [table.sit(name) for name in ("1", "2", "3")] == [True, False, True]
    assert not table.has_room("a")


def test_who_has_left_cannot_sit_down() -> None:
    table = seats(2)
    table.come("1", "a")
    table.leave("1")

    assert not table.sit("1")
    assert table.everybody() == []


def test_the_oldest_of_the_largest_crowd_gives_way() -> None:
    table = seats(2)
    table.come("lonely", "b")
    gone = [table.come(f"crowd {n}", "a") for n in range(WAITING_MOST + 1)]

    assert gone[: WAITING_MOST - 1] == [None] * (WAITING_MOST - 1)
    assert gone[WAITING_MOST - 1 :] == ["crowd 0", "crowd 1"]
    assert len(table.everybody()) == WAITING_MOST


def test_a_bucket_lets_a_burst_pass_and_then_its_rate() -> None:
    buckets = Buckets(50)
    burst = sum(buckets.take("a") for _ in range(1000))
    buckets.fill()
    then = sum(buckets.take("a") for _ in range(1000))
    other = buckets.take("b")

    assert (burst, then, other) == (50, 5, True)


def test_a_full_bucket_is_forgotten() -> None:
    buckets = Buckets(50)
    buckets.take("a")

    assert [buckets.fill(), buckets.take("a")] == [False, True]


def test_forged_addresses_cost_bounded_memory() -> None:
    buckets = Buckets(50)
    for n in range(10 * PEERS_MOST):
        buckets.take(str(n))

    assert len(buckets._left) == PEERS_MOST
