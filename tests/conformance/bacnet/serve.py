"""The projection in a process of its own, for a network namespace: serve.py JSON-of-the-mapping; ends with its input"""

import asyncio
import json
import logging
import sys

from tests.support.bacnet_site import served, site


def said(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def main(wanted: dict[str, object]) -> None:
    logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="%(message)s")
    async with served(site(2), **wanted) as it:
        said({"port": it.server.port})
        await asyncio.to_thread(sys.stdin.read)
        said(it.counters)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
