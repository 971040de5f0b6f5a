"""bridge.gateway.ethergate.mapping: where raw bytes may go"""

from typing import Any

import pytest

from bridge.core.errors import ProjectionError
from bridge.core.ports import ChannelFacts, Grant
from bridge.gateway.ethergate.mapping import Plan
from tests.support.gateway_site import device, facts, tunnelled

OPEN = ChannelFacts("rtu", ethergate=True)
PLAIN = facts(device("a", "riser", 11), riser=OPEN)
MID = facts(device("a", "riser", 11), device("m", "riser", 12, mid=True), riser=OPEN)
TLS = {"certificate": "c", "key": "k"}
MUTUAL = {**TLS, "client_ca": "ca"}
WAIVER = "The maker's tool sets the clock of m once a year, under seal 4711."


def made(site: Any = PLAIN, **mapping: Any) -> Any:
    return tunnelled(site, **{"listener": {"port": 7801}, "channel": "riser", **mapping})


def test_the_worker_may_have_the_bytes_of_its_line_and_nothing_else() -> None:
    needs = made().needs

    assert needs.grants is Grant.TUNNELS
    assert needs.tunnels == {"riser"}
    assert not needs.points


def test_a_line_has_one_client_whatever_the_listener_says() -> None:
    # G-04
    plan = made(listener={"port": 7801, "max_clients": 5}, secure={"port": 7802, "tls": TLS}).plan

    assert isinstance(plan, Plan)
    assert [listener.max_clients for listener in plan.listeners] == [1, 1]


@pytest.mark.parametrize(
    ("site", "mapping", "says"),
    [
        pytest.param(facts(device("a", "riser", 1)), {}, "ethergate: true", id="a line that has not consented"),
        pytest.param(PLAIN, {"channel": "x"}, "channel: expected a serial line", id="no such line"),
        pytest.param(facts(riser=ChannelFacts("tcp")), {}, "found riser of kind tcp", id="no serial line"),
        pytest.param(PLAIN, {"secure": {"port": 7802}}, "secure: expected tls", id="a secure listener without TLS"),
        pytest.param(MID, {}, "listener: expected tls with client_ca, for m on riser is a MID meter", id="MID, plain"),
        pytest.param(MID, {"mid_waiver": WAIVER}, "listener: expected tls with client_ca", id="MID, plain with waiver"),
        pytest.param(
            MID, {"listener": {"port": 1, "tls": TLS}, "mid_waiver": WAIVER}, "client_ca", id="MID, no client CA"
        ),
        pytest.param(
            MID, {"listener": {"port": 1, "tls": MUTUAL}}, "mid_waiver: expected a reason", id="MID, no waiver"
        ),
        pytest.param(MID, {"listener": {"port": 1, "tls": MUTUAL}, "mid_waiver": "  "}, "mid_waiver", id="MID, blank"),
        pytest.param(
            MID,
            {"listener": {"port": 1, "tls": MUTUAL}, "secure": {"port": 2, "tls": TLS}, "mid_waiver": WAIVER},
            "secure: expected tls with client_ca",
            id="MID, one of two listeners open to everybody",
        ),
    ],
)
def test_where_raw_bytes_may_not_go(site: Any, mapping: dict[str, Any], says: str) -> None:
    # BARS S2
    with pytest.raises(ProjectionError, match=says):
        made(site, **mapping)


def test_a_mid_line_needs_client_certificates_and_a_reason() -> None:
    assert made(MID, listener={"port": 7802, "tls": MUTUAL}, mid_waiver=WAIVER).needs.tunnels == {"riser"}
