"""Read every point of a device with BAC0 and print {name: value} as JSON: read_with_bac0.py PORT ADDRESS DEVICE"""

import asyncio
import json
import sys
from contextlib import redirect_stdout

import BAC0


async def main(port: int, address: str, device: int) -> None:
    BAC0.log_level("silence")
    network = BAC0.start(ip=f"127.0.0.1/8:{port}")
    with redirect_stdout(sys.stderr):
        listed = await network.read(f"{address} device {device} objectList")
    found = {}
    for kind, instance in listed:
        if str(kind) in ("device", "network-port", "notification-class", "structured-view"):
            continue
        with redirect_stdout(sys.stderr):
            name, value = await network.readMultiple(f"{address} {kind} {instance} objectName presentValue")
        found[str(name)] = value if isinstance(value, int | float) else str(value)
    sys.stdout.write(json.dumps(found) + "\n")
    network.disconnect()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
