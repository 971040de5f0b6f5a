"""bridge.field.dial"""

import pytest

from bridge.field.dial import endpoint


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("10.0.0.7", ("10.0.0.7", 502)),
        ("10.0.0.7:1502", ("10.0.0.7", 1502)),
        ("fe80::1", ("fe80::1", 502)),
        ("[fe80::1%eth0]", ("fe80::1%eth0", 502)),
        ("[fe80::1]:1502", ("fe80::1", 1502)),
        ("meter.lan", ("meter.lan", 502)),
        ("meter.lan:1502", ("meter.lan", 1502)),
    ],
)
def test_a_host_is_understood_in_every_notation(host: str, found: tuple[str, int]) -> None:
    # F-13
    assert endpoint(host, 502) == found
