"""bridge.gateway.modbus.mapping"""

from typing import Any

import pytest

from bridge.core.errors import ProjectionError
from bridge.core.ports import ChannelFacts, Grant, SiteFacts
from bridge.gateway.modbus.plan import Framing, Route
from tests.support.gateway_site import device, facts, planned, projected

TLS = {"certificate": "c", "key": "k", "client_ca": "ca"}
TWO_LINES = facts(device("a", "riser", 11), device("b", "riser", 12), device("c", "cellar", 21))
SAME_IDS = facts(device("a", "riser", 11), device("b", "cellar", 11))


def test_every_device_is_reached_by_its_own_unit_id() -> None:
    # G-02
    (door,) = planned(TWO_LINES).doors

    assert door.routes == {11: Route("riser", 11), 12: Route("riser", 12), 21: Route("cellar", 21)}
    assert door.broadcast == ("riser", "cellar")
    assert door.only is None


def test_the_worker_may_ask_lines_and_nothing_else() -> None:
    needs = projected(TWO_LINES).needs

    assert needs.grants is Grant.RAW_LINES
    assert not needs.points
    assert not needs.tunnels


def test_two_devices_with_one_unit_id_need_another_number() -> None:
    with pytest.raises(ProjectionError, match="routes: expected another number for b, whose unit id 11 leads to a"):
        planned(SAME_IDS)

    (door,) = planned(SAME_IDS, routes=[{"unit": 111, "device": "b"}]).doors
    assert door.routes == {11: Route("riser", 11), 111: Route("cellar", 11)}


def test_a_route_leads_to_what_the_bridge_does_not_poll() -> None:
    route = {"unit": 50, "channel": "riser", "device_unit": 7, "timeout_s": 0.5}

    assert planned(TWO_LINES, routes=[route]).doors[0].routes[50] == Route("riser", 7, 0.5)


def test_248_reaches_the_only_device_of_a_one_device_line() -> None:
    # F-08
    assert planned(facts(device("a", "riser", 11))).doors[0].only == Route("riser", 11)
    assert planned(facts(device("a", "riser", 248))).doors[0].only == Route("riser", 248)


def test_a_line_with_a_port_of_its_own_is_reached_there_by_every_unit_id() -> None:
    channels = {"riser": ChannelFacts("rtu"), "cellar": ChannelFacts("rtu", gateway_port=1503)}
    site = facts(device("a", "riser", 11), device("b", "cellar", 11), **channels)
    shared, own = planned(site).doors

    assert list(shared.routes) == [11]
    assert own.listener.port == 1503
    assert own.only == Route("cellar", 11)
    assert own.routes[200] == Route("cellar", 200)
    assert [listener.port for listener in projected(site).listeners] == [0, 1503]


def test_broadcasts_go_to_serial_lines_only() -> None:
    site = facts(device("a", "riser", 11), riser=ChannelFacts("rtu"), lan=ChannelFacts("tcp"))

    assert planned(site).doors[0].broadcast == ("riser",)


def test_further_listeners_have_their_framing_and_roles() -> None:
    # G-03
    rtu, secure = {"port": 7701}, {"port": 802, "tls": TLS}
    plan = planned(TWO_LINES, rtu_over_tcp=rtu, secure=secure, roles={"reader": [3, 4]})

    assert [(d.framing, d.needs_role) for d in plan.doors] == [
        (Framing.MBAP, False),
        (Framing.RTU, False),
        (Framing.MBAP, True),
    ]
    assert [d.listener.max_clients for d in plan.doors] == [32, 8, 32]


def test_all_lines_together_never_ask_more_than_the_link_takes() -> None:
    for lines in (1, 15, 30, 59):
        site = facts(*(device(f"d{n}", f"c{n}", n + 1) for n in range(lines)))
        assert 1 <= planned(site).in_flight * lines <= 60


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({"routes": [{"unit": 9, "device": "x"}]}, "routes.0.device: expected a device"),
        ({"routes": [{"unit": 9, "channel": "x"}]}, "routes.0.channel: expected a channel"),
        ({"routes": [{"unit": 9}]}, "routes.0.channel: expected a channel"),
        ({"routes": [{"unit": 9, "device": "a", "channel": "riser"}]}, "not both"),
        ({"routes": [{"unit": 9, "device": "a"}, {"unit": 9, "device": "b"}]}, "routes.1.unit: .* 9 again"),
        ({"routes": [{"unit": 12, "device": "a"}]}, "another number for b"),
        ({"channels": ["x"]}, "channels.0"),
        ({"policy": [{"access": "allow", "devices": ["x"]}]}, "policy.0.devices"),
        ({"policy": [{"access": "allow"}, {"access": "allow", "channels": ["x"]}]}, "policy.1.channels"),
        ({"policy": [{"access": "allow", "clients": ["10.0.0/33"]}]}, "policy.0.clients"),
        ({"policy": [{"access": "allow", "units": ["9-3"]}]}, "policy.0.units"),
        ({"policy": [{"access": "allow", "registers": ["1-70000"]}]}, "policy.0.registers"),
        ({"secure": {"port": 802}}, "secure: expected tls"),
        ({"secure": {"port": 802, "tls": {"certificate": "c", "key": "k"}}}, "secure: expected tls"),
        ({"roles": {"reader": [3]}}, "roles: expected the listener"),
        ({"hold_off_s": [3, 1]}, "hold_off_s"),
    ],
)
def test_a_mapping_that_cannot_be_served_names_its_place(mapping: dict[str, Any], says: str) -> None:
    with pytest.raises(ProjectionError, match=says):
        planned(TWO_LINES, **mapping)


def test_a_channel_that_is_off_leads_nowhere() -> None:
    site = SiteFacts("t", [], [device("a", "riser", 11), device("b", "off", 12)], {"riser": ChannelFacts("rtu")})

    assert list(planned(site).doors[0].routes) == [11]
