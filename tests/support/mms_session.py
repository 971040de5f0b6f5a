"""One conversation of a client in which every service of the server is used once."""

import contextlib
from typing import Any

import iec61850

from tests.support.mms_client import FC, Reports


async def everything(port: int, timeout_ms: int = 3000) -> None:
    """Association, directories, reads, data sets, both kinds of report block, a control, and what is refused."""
    c: Any = await iec61850.IedConnection.connect(f"127.0.0.1:{port}", timeout_ms=timeout_ms)
    await c.get_server_directory()
    await c.get_logical_device_directory("GW1m1")
    await c.get_data_set_directory("GW1m1/LLN0.dsAll")
    await c.get_data_set_values("GW1m1/LLN0.dsEvent")
    await c.read_float("GW1m1/MMXU1.TotW.mag.f", FC.MX)
    await c.read("GW1m1/MMTR1.SupWh", FC.ST)
    for block in ("GW1m1/LLN0.RP.urcbAll01", "GW1m1/LLN0.BR.brcbEvent01"):
        reports = Reports(c, block)
        await reports.subscribe(integrity_ms=1000)
        await c.trigger_gi(block)
        await reports.pump(0.3)
        await reports.disable()
    control = c.create_control_object("GW1m1/GGIO1.SPCSO1", iec61850.ControlModel.DIRECT_ENHANCED)
    await control.operate(True)
    with contextlib.suppress(Exception):
        await c.write("GW1m1/MMXU1.TotW.mag.f", FC.MX, 1.0)
    with contextlib.suppress(Exception):
        await c.create_data_set("GW1m1/LLN0.mine", [iec61850.DataSetMember("GW1m1/MMXU1.TotW", FC.MX)])
    await c.disconnect()
