"""Start one child process and know for certain when it has ended: no zombie, no leaked descriptor."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping

# Only the core speaks to the service manager: a child that exploits a library must not keep the watchdog quiet.
_NOT_FOR_CHILDREN = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})


class ChildProcess:
    """
    Main thread only: PR_SET_PDEATHSIG in the child follows the thread that started it.

    A pidfd tells the loop of the end, whatever loop it is: no SIGCHLD handler, no thread per child.
    """

    def __init__(self, module: str, sock: socket.socket, environment: Mapping[str, str]) -> None:
        """
        Give `sock` to the child. All other descriptors stay here (close_fds, PEP 446).

        Its stdin is empty; stdout and stderr are ours, where its log goes. Raises: OSError.
        """
        arguments = [sys.executable, "-m", "bridge.host.main", module, str(sock.fileno())]
        kept = {name: value for name, value in environment.items() if name not in _NOT_FOR_CHILDREN}
        self._process = subprocess.Popen(arguments, pass_fds=[sock.fileno()], stdin=subprocess.DEVNULL, env=kept)
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[int] = self._loop.create_future()
        try:
            self._pidfd = os.pidfd_open(self._process.pid)
        except OSError:
            self._process.kill()
            self._process.wait()
            raise
        self._loop.add_reader(self._pidfd, self._reap)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def end(self, term_s: float) -> int:
        """SIGTERM, `term_s` seconds, SIGKILL. Return the exit code (-N: signal N)."""
        for number, wait_s in ((signal.SIGTERM, term_s), (signal.SIGKILL, None)):
            if self.exited.done():
                break
            self._process.send_signal(number)
            await asyncio.wait([self.exited], timeout=wait_s)
        return self.exited.result()

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.exited.set_result(self._process.wait())
