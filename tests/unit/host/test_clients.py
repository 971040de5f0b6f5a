"""bridge.host.clients: who asks, bounded, and how old a reading is when it gets here."""

from bridge.core.client import CLIENTS_MOST, Census
from bridge.core.point import Sample
from bridge.core.quality import Quality
from bridge.host.clients import Clients, Delays

MS = 1_000_000


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def batch(*source_ns: int) -> list[tuple[int, Sample]]:
    return [(index, Sample(1.0, Quality.GOOD, at_ns, 0)) for index, at_ns in enumerate(source_ns)]


# C-02
def test_a_client_is_told_with_its_connections_its_messages_and_its_silence() -> None:
    time = Time()
    clients = Clients(time)
    clients.of("10.0.0.9", 502)
    seen = clients.of("10.0.0.7", 502)
    seen.connections, seen.messages = 2, 9
    time.now = 5.0
    seen.last = 3.0

    # who has never said anything whole is no client
    (row,) = clients.rows()

    assert (row.address, row.port, row.connections, row.messages) == ("10.0.0.7", 502, 2, 9)
    assert (row.known_s, row.quiet_s) == (5.0, 2.0)


def test_a_crowd_takes_the_places_of_those_who_are_gone_and_no_more() -> None:
    time = Time()
    clients = Clients(time)
    stays = clients.of("10.0.0.1", 502)
    stays.connections = stays.messages = 1
    for number in range(3 * CLIENTS_MOST):
        time.now += 1
        clients.of(f"10.1.{number // 250}.{number % 250}", 502).messages = 1

    rows = clients.rows()
    assert len(rows) == CLIENTS_MOST
    assert "10.0.0.1" in {row.address for row in rows}
    assert rows[0].address == "10.1.1.49"


def test_the_delay_is_that_of_the_newest_reading_of_a_batch() -> None:
    delays = Delays()
    for number, late_ms in enumerate((4, 6, 80)):
        now_ns = 10**15 + number * 200 * MS
        delays.arrived(batch(now_ns - 10**12, now_ns - late_ms * MS), number * 200 * MS + 10**9, now_ns)
        # right behind it: not looked at
        delays.arrived(batch(0), number * 200 * MS + 10**9 + 1, now_ns)

    assert delays.census([]) == Census([], 6.0, 80.0)
    assert Delays().census([]) == Census()
