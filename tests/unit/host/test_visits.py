"""bridge.host.visits: only ourselves, and only while we ask"""

import os
import socket

from bridge.host.visits import OwnVisits


def test_a_socket_of_ours_is_known_only_while_we_ask() -> None:
    visits = OwnVisits()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as own:
        port = own.getsockname()[1]
        before = visits.is_ours("127.0.0.1", port, "127.0.0.1")
        with visits.visiting():
            during = [
                visits.is_ours(host, at, "10.0.0.1")
                for host, at in (("127.0.0.1", port), ("::ffff:127.0.0.1", port), ("127.0.0.1", 1), ("10.0.0.2", port))
            ]
        after = visits.is_ours("127.0.0.1", port, "127.0.0.1")

    assert (before, after) == (False, False)
    assert during == [True, True, False, False]


def test_looking_costs_no_descriptor() -> None:
    visits = OwnVisits()
    before = len(os.listdir("/proc/self/fd"))
    with visits.visiting():
        for _ in range(20):
            visits.is_ours("127.0.0.1", 1, "127.0.0.1")

    assert len(os.listdir("/proc/self/fd")) == before
