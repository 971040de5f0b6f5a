"""Broadcast Who-Is with rusty-bacnet and print the device ids that answer: discover.py ADDRESS BROADCAST PORT"""

import asyncio
import json
import sys

from rusty_bacnet import BACnetClient


async def main(address: str, broadcast: str, port: int) -> None:
    async with BACnetClient(interface=address, port=port, broadcast_address=broadcast) as client:
        found = await client.discover(1500)
        sys.stdout.write(json.dumps(sorted(device.object_identifier.instance for device in found)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
