"""
pysnmp as notification originator: the only file that knows it.

Its defects that are kept out here: engine boots in the temp folder of everybody (the engine id is set after the engine
is made, which then keeps no file), the notification tables that drop traps in silence (PDUs are sent directly to a
target), one target for each receiver, community tags that must match for an inform's acknowledgement. It answers
requests too: datagrams from others than the receivers are dropped before it sees them.
"""

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pysnmp.carrier.asyncio.dgram import udp, udp6
from pysnmp.entity import config, engine
from pysnmp.entity.rfc3413 import ntforg
from pysnmp.error import PySnmpError
from pysnmp.proto.api import v2c

from bridge.projections.snmp.ber import Syntax, Value
from bridge.projections.snmp.notify import INFORMS_MOST, Notification
from bridge.projections.snmp.plan import Reader, Target
from bridge.projections.snmp.settings import Auth, Form, Privacy

_log = logging.getLogger("bridge.snmp")
_SYS_UP_TIME = (1, 3, 6, 1, 2, 1, 1, 3, 0)
_TRAP_OID = (1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0)
_AUTH: Mapping[Auth, Any] = MappingProxyType(
    {
        Auth.SHA1: config.USM_AUTH_HMAC96_SHA,
        Auth.SHA256: config.USM_AUTH_HMAC192_SHA256,
        Auth.SHA384: config.USM_AUTH_HMAC256_SHA384,
        Auth.SHA512: config.USM_AUTH_HMAC384_SHA512,
    }
)
_PRIVACY: Mapping[Privacy, Any] = MappingProxyType(
    {Privacy.AES128: config.USM_PRIV_CFB128_AES, Privacy.AES256: config.USM_PRIV_CFB256_AES}
)
_TYPES: Mapping[Syntax, Any] = MappingProxyType(
    {
        Syntax.INTEGER32: v2c.Integer32,
        Syntax.OCTET_STRING: v2c.OctetString,
        Syntax.OBJECT_ID: v2c.ObjectIdentifier,
        Syntax.COUNTER32: v2c.Counter32,
        Syntax.GAUGE32: v2c.Gauge32,
        Syntax.TIME_TICKS: v2c.TimeTicks,
        Syntax.COUNTER64: v2c.Counter64,
    }
)


class _Picky:
    """Hears the receivers and nobody else."""

    hosts: frozenset[str] = frozenset()

    def datagram_received(self, datagram: bytes, address: tuple[Any, ...]) -> None:
        if address[0] in self.hosts:
            # laid over a transport of pysnmp, which has it
            super().datagram_received(datagram, address)  # type: ignore[misc]

    def error_received(self, exc: Exception) -> None:
        """A receiver whose port is closed: nobody acknowledges, and that is counted."""


class _Udp(_Picky, udp.UdpTransport):  # type: ignore[misc]
    pass


class _Udp6(_Picky, udp6.Udp6Transport):  # type: ignore[misc]
    pass


class Sender:
    """Loop thread only. `lost`: an inform that nobody acknowledged."""

    def __init__(self, targets: Sequence[Target], engine_id: bytes, boots: int, lost: Callable[[], None]) -> None:
        self._targets, self._lost = targets, lost
        self._waiting = [0] * len(targets)
        self._failed = [False] * len(targets)
        self._engine: Any = engine.SnmpEngine()
        builder = self._engine.get_mib_builder()
        own_id, own_boots = builder.import_symbols("__SNMP-FRAMEWORK-MIB", "snmpEngineID", "snmpEngineBoots")
        own_id.syntax = own_id.syntax.clone(engine_id)
        own_boots.syntax = own_boots.syntax.clone(boots)
        self._engine.snmpEngineID = own_id.syntax
        self._originator: Any = ntforg.NotificationOriginator()
        hosts = frozenset(target.host for target in targets)
        versions = {ipaddress.ip_address(host).version for host in hosts}
        for version, make, domain, anywhere in (
            (4, _Udp, udp.DOMAIN_NAME, "0.0.0.0"),
            (6, _Udp6, udp6.DOMAIN_NAME, "::"),
        ):
            if version in versions:
                transport: Any = make(loop=asyncio.get_running_loop())
                transport.hosts = hosts
                config.add_transport(self._engine, domain, transport.open_client_mode((anywhere, 0)))
        names: dict[Reader, str] = {}
        for at, target in enumerate(targets):
            if target.reader not in names:
                names[target.reader] = f"reader{len(names)}"
                self._add_reader(names[target.reader], target.reader)
            self._add_target(at, target, names[target.reader])

    def send(self, at: int, notification: Notification) -> bool:
        """Send to the receiver at this position; False when it cannot be, or too many informs wait for it already."""
        target = self._targets[at]
        inform = target.form is Form.INFORM
        if inform and self._waiting[at] >= INFORMS_MOST:
            return False
        pdu: Any = v2c.InformRequestPDU() if inform else v2c.SNMPv2TrapPDU()
        v2c.apiTrapPDU.set_defaults(pdu)
        varbinds = [
            (v2c.ObjectIdentifier(_SYS_UP_TIME), v2c.TimeTicks(notification.uptime_cs)),
            (v2c.ObjectIdentifier(_TRAP_OID), v2c.ObjectIdentifier(notification.oid)),
        ]
        varbinds += [(v2c.ObjectIdentifier(v.oid), _typed(v.syntax, v.value)) for v in notification.varbinds]
        v2c.apiTrapPDU.set_varbinds(pdu, varbinds)
        if inform:
            self._waiting[at] += 1
        try:
            self._originator.send_pdu(self._engine, f"target{at}", None, b"", pdu, self._answered, at)
        except PySnmpError as exc:
            self._waiting[at] -= inform
            if not self._failed[at]:
                self._failed[at] = True
                _log.warning("notification_failed receiver=%s:%d error=%s", target.host, target.port, exc)
            return False
        return True

    def close(self) -> None:
        self._engine.close_dispatcher()

    def _answered(self, _engine: object, _handle: object, indication: object, _pdu: object, at: int) -> None:
        self._waiting[at] -= 1
        if indication is not None:
            self._lost()

    def _add_reader(self, name: str, reader: Reader) -> None:
        """One entry per community or user: an acknowledgement is told by its community alone."""
        if reader.auth is None:
            # the tag lets the acknowledgement in: it must be that of its targets
            config.add_v1_system(self._engine, name, reader.secret, transportTag=name)
            config.add_target_parameters(self._engine, name, name, "noAuthNoPriv", 1)
            return
        config.add_v3_user(
            self._engine,
            reader.label,
            _AUTH[reader.auth],
            reader.secret,
            config.USM_PRIV_NONE if reader.privacy is None else _PRIVACY[reader.privacy],
            None if reader.privacy is None else reader.privacy_secret,
        )
        level = "authNoPriv" if reader.privacy is None else "authPriv"
        config.add_target_parameters(self._engine, name, reader.label, level, 3)

    def _add_target(self, at: int, target: Target, name: str) -> None:
        domain = (udp if ipaddress.ip_address(target.host).version == 4 else udp6).DOMAIN_NAME
        config.add_target_address(
            self._engine,
            f"target{at}",
            domain,
            (target.host, target.port),
            name,
            target.timeout_s * 100,
            target.retries,
            name,
        )


def _typed(syntax: Syntax, value: Value) -> Any:
    return _TYPES[syntax](value)
