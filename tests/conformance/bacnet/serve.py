"""The projection in a process of its own, for a network namespace: serve.py JSON-of-the-mapping; ends with its input"""

import asyncio
import json
import logging
import sys

from tests.support.bacnet_site import served, site


async def main(wanted: dict[str, object]) -> None:
    logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="%(message)s")
    async with served(site(2), **wanted) as it:
        print(json.dumps({"port": it.server.port}), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        print(json.dumps(it.counters), flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
