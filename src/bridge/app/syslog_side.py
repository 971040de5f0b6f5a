"""The syslog server of a site: who sends to it, and what it has got already over restarts and reloads."""

import asyncio
import logging
import ssl

from bridge.config.model import SiteConfig
from bridge.config.syslog_keys import Carrier, SyslogKey
from bridge.core.event import EventKind
from bridge.services.events import EventLog
from bridge.services.syslog_sender import SyslogSender, SyslogServer, port_of

log = logging.getLogger("bridge.app")


class SyslogSide:
    """Loop thread only."""

    def __init__(self, events: EventLog) -> None:
        self._events = events
        self._sender: SyslogSender | None = None
        self._server: SyslogServer | None = None
        self._key: SyslogKey | None = None
        self._changed = asyncio.Event()
        self.sent = 0

    def apply(self, config: SiteConfig) -> None:
        """Take over a configuration; a server that stays keeps its connection."""
        try:
            server = _server(config)
        except (OSError, ssl.SSLError) as exc:
            log.error("syslog certificates cannot be read: %s", exc)
            server = None
        # a context of certificates equals only itself
        key = config.services.syslog
        if key != self._key:
            self._key, self._server = key, server
            self._changed.set()

    def note_sent(self) -> int:
        """Return the number of the last event that was sent."""
        if self._sender is not None:
            self.sent = self._sender.sent
        return self.sent

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            self._changed.clear()
            sending = asyncio.ensure_future(self._send())
            try:
                await self._changed.wait()
            finally:
                sending.cancel()
                await asyncio.wait([sending])
                self.note_sent()

    async def _send(self) -> None:
        if self._server is None:
            return
        self._sender = sender = SyslogSender(self._server, self._events, self.sent, self._told)
        forget = self._events.subscribe(sender.wake)
        try:
            await sender.run()
        finally:
            forget()

    def _told(self, why: str) -> None:
        place = f"syslog server {self._server.host}" if self._server is not None else "syslog server"
        text = f"{place} cannot be reached: {why}" if why else f"{place} reached"
        log.info("%s", text)
        self._events.record(EventKind.COMMUNICATION, 64 if why else 32, text)


def _server(config: SiteConfig) -> SyslogServer | None:
    """Raises: OSError, ssl.SSLError for certificates that cannot be read."""
    key = config.services.syslog
    if key is None:
        return None
    trust = None
    if key.carrier is Carrier.TLS:
        trust = ssl.create_default_context(cafile=str(config.directory / key.ca) if key.ca else None)
        trust.minimum_version = ssl.TLSVersion.TLSv1_2
    hostname = key.hostname or config.file.site.name
    port = port_of(key.carrier, key.port)
    return SyslogServer(key.host, key.carrier, port, key.facility, hostname, trust, key.server_name)
