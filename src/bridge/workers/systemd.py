"""
Tell the service manager that we are ready, alive and stopping (sd_notify(3): datagrams of KEY=VALUE lines).

Without a service manager (NOTIFY_SOCKET unset) nothing is sent and nobody restarts a core that hangs: see docs.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping

# Seconds between two looks at the freshness when no WATCHDOG_USEC asks for it.
_NO_WATCHDOG_S = 1.0


class Notifier:
    """
    Loop thread only, so that a loop that is blocked says nothing: after WatchdogSec= the service manager kills and
    restarts us.
    """

    def __init__(self, address: str = "", watchdog_s: float = 0.0) -> None:
        """`address`: NOTIFY_SOCKET, a path or `@` and an abstract name; "" = nobody listens."""
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        # a third of the time allowed: one datagram may be late
        self._period_s = watchdog_s / 3 if watchdog_s else _NO_WATCHDOG_S
        self._watchdog = watchdog_s > 0
        self._sock: socket.socket | None = None
        if self._address:
            self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._sock.setblocking(False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], pid: int) -> "Notifier":
        """WATCHDOG_PID names the process the watchdog is for; another one's is not ours."""
        usec = environment.get("WATCHDOG_USEC", "")
        ours = environment.get("WATCHDOG_PID", str(pid)) == str(pid)
        watchdog_s = int(usec) / 1e6 if usec.isdecimal() and ours else 0.0
        return cls(environment.get("NOTIFY_SOCKET", ""), watchdog_s)

    def ready(self, status: str = "") -> None:
        self._send("READY=1", status)

    def status(self, status: str) -> None:
        self._send("", status)

    def stopping(self) -> None:
        self._send("STOPPING=1", "")

    async def watch(self, is_fresh: Callable[[], bool]) -> None:
        """Send WATCHDOG=1 while `is_fresh()` is true; until cancelled."""
        while True:
            if self._watchdog and is_fresh():
                self._send("WATCHDOG=1", "")
            await asyncio.sleep(self._period_s)

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _send(self, state: str, status: str) -> None:
        if self._sock is None:
            return
        lines = [state] if state else []
        if status:
            lines.append(f"STATUS={status.splitlines()[0]}")
        # a service manager that is gone or full is no reason to stop serving; it will miss us
        with contextlib.suppress(OSError):
            self._sock.sendto("\n".join(lines).encode(), self._address)
