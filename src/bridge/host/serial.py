"""A serial port of a worker's own: opened, set up, exclusive, and opened again when it was pulled."""

import asyncio
import contextlib
import fcntl
import logging
import os
import termios
import tty
from collections.abc import Callable
from typing import Any

from bridge.core.serial import Framing, Serial

_log = logging.getLogger("bridge.serial")
# Seconds between attempts to open the port: the first, and the longest.
_RETRY_S = (0.2, 5.0)
_READ_BYTES = 4096
# Bytes that may wait for a slow line: the longest answer of a protocol here with its frames is 2.4 kB, and one repeat.
_UNSENT_MOST = 8192
_PARITY = {Framing.N81: 0, Framing.N82: 0, Framing.E81: termios.PARENB, Framing.O81: termios.PARENB | termios.PARODD}


class SerialTransport(asyncio.Transport):
    """An open port. `peername`: its path and 0. What does not fit is dropped and counted: the peer asks again."""

    def __init__(self, line: Serial, protocol: asyncio.Protocol, counters: dict[str, int]) -> None:
        """Raises: OSError."""
        super().__init__({"peername": (line.port, 0)})
        self._loop, self._protocol, self._counters = asyncio.get_running_loop(), protocol, counters
        self._unsent = b""
        self.closed = asyncio.Event()
        self._descriptor = _opened(line)
        self._loop.add_reader(self._descriptor, self._readable)
        protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._descriptor < 0:
            return
        if len(self._unsent) + len(data) > _UNSENT_MOST:
            self._counters["serial_dropped"] = self._counters.get("serial_dropped", 0) + 1
            return
        waiting, self._unsent = bool(self._unsent), self._unsent + bytes(data)
        if not waiting:
            self._send()

    def is_closing(self) -> bool:
        return self._descriptor < 0

    def close(self) -> None:
        if self._descriptor < 0:
            return
        self._loop.remove_reader(self._descriptor)
        self._loop.remove_writer(self._descriptor)
        # another process may hold the port: leave it as others expect it
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._descriptor, termios.TIOCNXCL)
        os.close(self._descriptor)
        self._descriptor, self._unsent = -1, b""
        self.closed.set()
        self._protocol.connection_lost(None)

    def abort(self) -> None:
        self.close()

    def _readable(self) -> None:
        try:
            data = os.read(self._descriptor, _READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self._protocol.data_received(data)
        else:
            self.close()

    def _send(self) -> None:
        try:
            sent = os.write(self._descriptor, self._unsent)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.close()
            return
        self._unsent = self._unsent[sent:]
        if self._unsent:
            self._loop.add_writer(self._descriptor, self._send)
        else:
            self._loop.remove_writer(self._descriptor)


async def serve(make: Callable[[], asyncio.Protocol], line: Serial, counters: dict[str, int]) -> None:
    """Have the port until cancelled; `make` returns the protocol each time it is opened."""
    wait_s, failed = _RETRY_S[0], False
    transport: SerialTransport | None = None
    try:
        while True:
            try:
                transport = SerialTransport(line, make(), counters)
            except OSError as exc:
                if not failed:
                    _log.warning("serial_lost port=%s error=%s", line.port, exc.strerror)
                failed = True
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, _RETRY_S[1])
                continue
            _log.info("serial_open port=%s", line.port)
            wait_s, failed = _RETRY_S[0], False
            await transport.closed.wait()
            await asyncio.sleep(wait_s)
    finally:
        if transport is not None:
            transport.close()


def _opened(line: Serial) -> int:
    """Open the port for this process alone and set speed and framing, raw. Raises: OSError."""
    descriptor = os.open(line.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.ioctl(descriptor, termios.TIOCEXCL)
        tty.setraw(descriptor)
        settings: list[Any] = termios.tcgetattr(descriptor)
        settings[2] &= ~(termios.PARENB | termios.PARODD | termios.CSTOPB | termios.CSIZE | termios.CRTSCTS)
        settings[2] |= termios.CS8 | termios.CLOCAL | termios.CREAD | _PARITY[line.framing]
        if line.framing is Framing.N82:
            settings[2] |= termios.CSTOPB
        settings[4] = settings[5] = getattr(termios, line.baud.name)
        termios.tcsetattr(descriptor, termios.TCSANOW, settings)
        # what came before we listened is nobody's question
        termios.tcflush(descriptor, termios.TCIFLUSH)
    except (OSError, termios.error) as exc:
        os.close(descriptor)
        raise OSError(exc.args[0], str(exc.args[-1])) from exc
    return descriptor
