"""
A serial port that one master has for itself: opened, read, written, and opened again when it was pulled.

A master on a shared pair may have other outstations there: what is not addressed to this one is ignored, and nothing
is sent unasked unless unsolicited responses are on.
"""

import asyncio
import logging
import os
import termios
import tty
from collections.abc import Callable, Sequence

from bridge.projections.dnp3.link import LinkDecoder
from bridge.projections.dnp3.masters import Master
from bridge.projections.dnp3.plan import Framing, Serial

_log = logging.getLogger("bridge.dnp3")
# Seconds between attempts to open the port: the first, and the longest.
_RETRY_S = (0.2, 5.0)
_READ_BYTES = 4096
# Bytes that may wait for a slow line: a fragment with its frames is 2.4 kB, ours and one repeat.
_UNSENT_MOST = 8192
_PARITY = {Framing.N81: 0, Framing.N82: 0, Framing.E81: termios.PARENB, Framing.O81: termios.PARENB | termios.PARODD}


class SerialLine:
    """Carrier of one master. Loop thread only."""

    def __init__(
        self, master: Master, serial: Serial, counters: dict[str, int], now_s: Callable[[], float] | None = None
    ) -> None:
        self._master, self._serial, self._counters = master, serial, counters
        self._loop = asyncio.get_running_loop()
        self._now_s = now_s or self._loop.time
        self._decoder = LinkDecoder()
        self._descriptor = -1
        self._unsent = b""
        self._lost = asyncio.Event()

    async def run(self) -> None:
        """Serve until cancelled."""
        wait_s, failed = _RETRY_S[0], False
        try:
            while True:
                try:
                    self._open()
                except OSError as exc:
                    if not failed:
                        _log.warning("serial_lost port=%s error=%s", self._serial.port, exc.strerror)
                    failed = True
                    await asyncio.sleep(wait_s)
                    wait_s = min(2 * wait_s, _RETRY_S[1])
                    continue
                _log.info("serial_open port=%s", self._serial.port)
                wait_s, failed = _RETRY_S[0], False
                await self._lost.wait()
                await asyncio.sleep(wait_s)
        finally:
            self.close()

    def send(self, chunks: Sequence[bytes]) -> None:
        if self._descriptor < 0:
            return
        data = b"".join(chunks)
        if len(self._unsent) + len(data) > _UNSENT_MOST:
            # the line does not take it: the master will ask again
            self._counters["serial_dropped"] = self._counters.get("serial_dropped", 0) + 1
            return
        self._counters["bytes_out"] += len(data)
        waiting, self._unsent = bool(self._unsent), self._unsent + data
        if not waiting:
            self._write()

    def close(self) -> None:
        if self._descriptor < 0:
            return
        self._loop.remove_reader(self._descriptor)
        self._loop.remove_writer(self._descriptor)
        os.close(self._descriptor)
        self._descriptor, self._unsent = -1, b""
        self._counters["crc_errors"] += self._decoder.crc_errors
        self._counters["masters"] -= 1
        self._master.left(self)
        self._lost.set()

    def _open(self) -> None:
        """Raises: OSError."""
        descriptor = os.open(self._serial.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            set_up(descriptor, self._serial)
        except termios.error as exc:
            os.close(descriptor)
            raise OSError(exc.args[0], str(exc.args[-1])) from exc
        self._descriptor, self._decoder = descriptor, LinkDecoder()
        self._lost.clear()
        self._counters["masters"] += 1
        self._master.bind(self, self._serial.port)
        self._loop.add_reader(descriptor, self._readable)
        self.send(self._master.session.connected(self._now_s()))

    def _readable(self) -> None:
        try:
            data = os.read(self._descriptor, _READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._counters["bytes_in"] += len(data)
        frames = self._decoder.feed(data)
        if frames:
            self.send(self._master.session.receive(frames, self._now_s()))

    def _write(self) -> None:
        try:
            sent = os.write(self._descriptor, self._unsent)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.close()
            return
        self._unsent = self._unsent[sent:]
        if self._unsent:
            self._loop.add_writer(self._descriptor, self._write)
        else:
            self._loop.remove_writer(self._descriptor)


def set_up(descriptor: int, serial: Serial) -> None:
    """Set speed and framing, raw. Raises: termios.error."""
    speed = getattr(termios, serial.baud.name)
    tty.setraw(descriptor)
    settings = termios.tcgetattr(descriptor)
    settings[2] &= ~(termios.PARENB | termios.PARODD | termios.CSTOPB | termios.CSIZE | termios.CRTSCTS)
    settings[2] |= termios.CS8 | termios.CLOCAL | termios.CREAD | _PARITY[serial.framing]
    if serial.framing is Framing.N82:
        settings[2] |= termios.CSTOPB
    settings[4] = settings[5] = speed
    termios.tcsetattr(descriptor, termios.TCSANOW, settings)
