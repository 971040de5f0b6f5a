"""bridge.projections.web.redirect: plain HTTP leads to the encrypted console, and nowhere else."""

import pytest

from bridge.projections.web.redirect import answer_to
from bridge.projections.web.security import Hosts

HOSTS = Hosts(["bridge.example"])


# W-01
@pytest.mark.parametrize(
    ("head", "port", "status", "location"),
    [
        ("GET /points?a=b HTTP/1.1\r\nHost: bridge.example", 443, 308, "https://bridge.example/points?a=b"),
        ("GET / HTTP/1.1\r\nHost: 10.0.0.7:80", 8443, 308, "https://10.0.0.7:8443/"),
        ("GET / HTTP/1.1\r\nhost: [::1]:80", 443, 308, "https://[::1]/"),
        ("GET / HTTP/1.1\r\nHost: evil.example", 443, 421, ""),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b", 443, 421, ""),
        ("GET / HTTP/1.1", 443, 421, ""),
        ("GET http://evil.example/ HTTP/1.1\r\nHost: localhost", 443, 400, ""),
        ("GET /\x0b HTTP/1.1\r\nHost: localhost", 443, 400, ""),
        ("\x16\x03\x01", 443, 400, ""),
    ],
)
def test_whoever_asks_is_sent_to_the_same_page_of_the_same_host(
    head: str, port: int, status: int, location: str
) -> None:
    answer = answer_to(head.encode() + b"\r\n\r\n", HOSTS, port).decode()

    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert (f"\r\nLocation: {location}\r\n" in answer) is bool(location)
    assert answer.endswith("\r\n\r\n")
