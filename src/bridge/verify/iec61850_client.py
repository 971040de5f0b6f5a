"""
`python -m bridge.verify.iec61850_client HOST:PORT`: the Rust client `iec61850` in a process of its own.

It crashes now and then when an interpreter ends, so it lives in one that ends without that. Each line of standard input
is a JSON list of [reference, functional constraint]; the answer is a JSON list of values, null for what is not there,
octets in hexadecimal. A line {"error": "..."} is the last one.
"""

import asyncio
import json
import os
import sys
from typing import Any

import iec61850

_TIMEOUT_MS = 15_000
# Variables of one Read: request and answer within an MMS PDU.
_VARIABLES = 40


async def serve(address: str) -> None:
    """Answer until standard input ends."""
    connection: Any = await iec61850.IedConnection.connect(address, timeout_ms=_TIMEOUT_MS)
    constraints: dict[str, Any] = {"ST": iec61850.FC.ST, "MX": iec61850.FC.MX, "CF": iec61850.FC.CF}
    while line := await asyncio.to_thread(sys.stdin.readline):
        targets = [(name, constraints[fc]) for name, fc in json.loads(line)]
        values: list[Any] = []
        for at in range(0, len(targets), _VARIABLES):
            values += await connection.read_multiple(targets[at : at + _VARIABLES], strict=False)
        answer([plain(value) for value in values])
    await connection.disconnect()


def answer(content: object) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


def plain(value: Any) -> Any:
    """Return what JSON can carry."""
    if isinstance(value, bytes | bytearray):
        return value.hex()
    return value if isinstance(value, bool | int | float | str) else None


def main() -> None:
    try:
        asyncio.run(serve(sys.argv[1]))
    except Exception as exc:  # noqa: BLE001 - the client raises plain exceptions; the reader tells the person
        answer({"error": str(exc) or type(exc).__name__})
    os._exit(0)


if __name__ == "__main__":
    main()
