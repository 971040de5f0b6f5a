"""
bacpypes3's own server with analog inputs, for the benchmark: bacnet_stock.py PORT OBJECTS; says when it is up.

A number on a line of its input: so many objects get a new value.
"""

import asyncio
import sys

from bacpypes3.app import Application
from bacpypes3.local.analog import AnalogInputObject
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.networkport import NetworkPortObject


async def main(port: int, count: int) -> None:
    objects = [
        DeviceObject(objectIdentifier=("device", 1001), objectName="stock", maxApduLengthAccepted=1476),
        NetworkPortObject(f"127.0.0.1/8:{port}", objectIdentifier=("network-port", 1), objectName="IP"),
    ]
    objects += [
        AnalogInputObject(
            objectIdentifier=("analog-input", n + 1),
            objectName=f"P{n}",
            presentValue=1.0,
            units="volts",
            covIncrement=0.5,
            statusFlags=[0, 0, 0, 0],
            eventState="normal",
            outOfService=False,
        )
        for n in range(count)
    ]
    application = Application.from_object_list(objects)
    sys.stdout.write("up\n")
    sys.stdout.flush()
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    value = 1.0
    while line := await lines.readline():
        value += 10.0
        for analog in objects[2 : 2 + int(line)]:
            analog.presentValue = value
    application.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
