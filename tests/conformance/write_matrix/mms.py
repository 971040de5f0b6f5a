"""IEC 61850: controls, MMS writes and data sets with a foreign client."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import iec61850

from tests.conformance.write_matrix.entry import Attempt, Entry
from tests.support import mms_client
from tests.support.bridge_site import RunningBridge


def mms_ask(ask: Callable[[Any], Coroutine[Any, Any, object]]) -> Callable[[RunningBridge, int], str]:
    def send(bridge: RunningBridge, port: int) -> str:
        del bridge

        async def talk() -> str:
            connection = await mms_client.connect(port)
            try:
                return f"accepted {await ask(connection)}"
            except Exception as exc:  # noqa: BLE001 - the client raises a plain Exception
                return f"refused: {exc}"
            finally:
                await connection.disconnect()

        return asyncio.run(talk())

    return send


async def mms_operate(connection: Any) -> object:
    control = connection.create_control_object("GW1landlord/GGIO1.SPCSO1", iec61850.ControlModel.DIRECT_ENHANCED)
    control.set_origin(iec61850.OriginValue(3, b"test"))
    answer = await control.operate(True)
    if not answer.success:
        raise ConnectionRefusedError(str(answer.add_cause))
    return answer


async def mms_write(connection: Any, name: str, fc: Any, value: Any) -> object:
    return await connection.write(f"GW1landlord/{name}", fc, value)


async def mms_data_set(connection: Any) -> object:
    member = iec61850.DataSetMember("GW1landlord/MMXU1.TotW", mms_client.FC.MX)
    return await connection.create_data_set("GW1landlord/LLN0.mine", [member])


async def mms_delete(connection: Any) -> object:
    return await connection.delete_data_set("GW1landlord/LLN0.dsAll")


# refused by the library itself; the relay in front of it sees the answer
_MMS_WRITES = (
    ("MMXU1.TotW.mag.f", mms_client.FC.MX, 1.0),
    ("MMTR1.SupWh.actVal", mms_client.FC.ST, 1),
    ("GGIO1.SPCSO1.stVal", mms_client.FC.ST, True),
    ("GGIO1.SPCSO1.ctlModel", mms_client.FC.CF, 3),
    ("LLN0.NamPlt.vendor", mms_client.FC.DC, "x"),
)
MMS = (
    Attempt("iec61850 control", mms_ask(mms_operate), "refused: ", ("landlord.reset_demand_peak",)),
    *(
        Attempt(
            f"iec61850 write {name}",
            mms_ask(partial(mms_write, name=name, fc=fc, value=value)),
            "refused: ",
            (f"GW1landlord/{name} [{fc.name}]",),
        )
        for name, fc, value in _MMS_WRITES
    ),
    Attempt("iec61850 create data set", mms_ask(mms_data_set), "refused: ", ("define data set",)),
    Attempt("iec61850 delete data set", mms_ask(mms_delete), "refused: ", ("delete data set",)),
)


def mms_mapping(port: int) -> dict[str, Any]:
    rules = [{"match": f"*.{name}", "control": "direct"} for name in ("demand_interval", "reset_demand_peak")]
    return {"listener": {"port": port, "bind": "127.0.0.1"}, "ied": "GW1", "rules": rules}


ENTRY = Entry("iec61850", mms_mapping, MMS)
