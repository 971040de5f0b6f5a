"""bridge.gateway.modbus.export"""

from bridge.core.ports import ChannelFacts
from bridge.gateway.modbus.export import EXPORTS
from tests.support.gateway_site import device, facts, planned


def test_every_unit_id_that_leads_to_a_device_has_a_row() -> None:
    channels = {"riser": ChannelFacts("rtu"), "cellar": ChannelFacts("rtu", gateway_port=1503)}
    site = facts(device("a", "riser", 11), device("b", "cellar", 11), **channels)
    plan = planned(
        site,
        listener={"port": 502},
        rtu_over_tcp={"port": 7701},
        routes=[{"unit": 50, "channel": "riser", "device_unit": 7, "timeout_s": 0.5}],
    )
    ((name, text),) = EXPORTS["gateway-map"](plan, site)

    assert name == "gateway-units.csv"
    assert text.splitlines() == [
        "port,framing,tls,unit_id,device,channel,line_unit_id,timeout_s",
        "502,mbap,,11,a,riser,11,",
        "502,mbap,,50,,riser,7,0.5",
        "502,mbap,,248,a,riser,11,",
        "7701,rtu,,11,a,riser,11,",
        "7701,rtu,,50,,riser,7,0.5",
        "7701,rtu,,248,a,riser,11,",
        "1503,mbap,,11,b,cellar,11,",
        "1503,mbap,,248,b,cellar,11,",
    ]
