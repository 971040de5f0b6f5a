"""The Rust client `iec61850` 0.14.0 with its traps taken out."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import iec61850

T = TypeVar("T")
FC = iec61850.FC
REASONS = ("data_change", "quality_change", "integrity", "general_interrogation")


def run(steps: Coroutine[Any, Any, T], limit_s: float = 30) -> T:
    async def limited() -> T:
        async with asyncio.timeout(limit_s):
            return await steps

    return asyncio.run(limited())


async def connect(port: int) -> Any:
    return await iec61850.IedConnection.connect(f"127.0.0.1:{port}", timeout_ms=3000)


class Reports:
    """
    Collects the reports of one block.

    An entry counts only if its reason is new: the client keeps members of earlier reports.
    """

    def __init__(self, connection: Any, block: str) -> None:
        self.connection, self.block = connection, block
        self.got: list[Any] = []

    async def subscribe(
        self,
        entry_id: bytes | None = None,
        integrity_ms: int | None = None,
        data_change: bool | None = None,
        call: Any = None,
    ) -> None:
        connection, block = self.connection, self.block
        handle = await connection.get_rcb_values(block)
        await connection.install_report_handler(block, call or self.got.append, rpt_id=handle.rpt_id)
        if entry_id is not None:
            # the client writes EntryId through set_rcb_values; the name is EntryID
            await connection.write(block.replace(".BR.", ".") + ".EntryID", FC.BR, entry_id)
        if integrity_ms is not None:
            handle.integrity_period_ms = integrity_ms
            await self._write(handle, "integrity_period")
        if data_change is not None:
            handle.trigger_options = iec61850.TriggerOptions(
                data_change=data_change, quality_change=True, integrity=True, general_interrogation=True
            )
            await self._write(handle, "trigger_options")
        handle.rpt_ena = True
        await self._write(handle, "rpt_ena")

    async def disable(self) -> None:
        handle = await self.connection.get_rcb_values(self.block)
        handle.rpt_ena = False
        await self._write(handle, "rpt_ena")

    async def pump(self, seconds: float) -> list[Any]:
        """Receive for a while and return what came."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await self.connection.poll_reports(50)
        taken, self.got[:] = list(self.got), []
        return taken

    async def _write(self, handle: Any, field: str) -> None:
        await self.connection.set_rcb_values(handle, iec61850.RcbWriteMask.fields(field))


def reasons(report: Any) -> set[str]:
    return {name for entry in report.entries for name in REASONS if getattr(entry.reason, name)}


def member(report: Any, index: int) -> Any:
    return report.entries[index].value
