"""
`python -m tests.support.mms_attempt PORT WHAT OBJECT [VALUE]`: one write by the Rust client; prints what it was told.

    operate OBJECT | select OBJECT | write OBJECT FC | data-set NAME
"""

import asyncio
import os
import sys
from typing import Any

import iec61850

from tests.support.mms_client import FC, connect


async def attempt(port: int, what: str, name: str, *rest: str) -> str:
    c: Any = await connect(port)
    try:
        match what:
            case "operate" | "select":
                model = (
                    iec61850.ControlModel.DIRECT_ENHANCED if what == "operate" else iec61850.ControlModel.SBO_ENHANCED
                )
                control = c.create_control_object(name, model)
                if what == "select":
                    return "accepted" if await control.select_with_value(True) else "refused"
                answer = await control.operate(int(rest[0]) if rest else True)
                return "accepted" if answer.success else f"refused {answer.add_cause}"
            case "write":
                await c.write(name, getattr(FC, rest[0]), 1.0 if rest[0] == "MX" else 1)
            case _:
                await c.create_data_set(name, [iec61850.DataSetMember("DEMOlandlord/MMXU1.TotW", FC.MX)])
    except Exception as exc:  # noqa: BLE001 - the client raises a plain Exception
        return f"refused {exc}"
    return "accepted"


def main() -> None:
    port, *words = sys.argv[1:]
    sys.stdout.write(asyncio.run(attempt(int(port), *words)) + "\n")
    sys.stdout.flush()
    # the client crashes now and then when the interpreter exits
    os._exit(0)


if __name__ == "__main__":
    main()
