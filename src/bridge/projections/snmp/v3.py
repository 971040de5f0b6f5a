"""
SNMPv3 messages in and out.

    version 3 | (msgID, msgMaxSize, flags, 3) | OCTET STRING of (engine id, boots, time, user, digest, salt) |
    (context engine id, context name, PDU), in an OCTET STRING when encrypted

Source: RFC 3412, 6 and 7; RFC 3414, 3.
"""

from collections.abc import Iterable
from typing import NamedTuple

from bridge.projections.snmp.ber import (
    OCTET_STRING,
    SEQUENCE,
    BerError,
    Oid,
    Syntax,
    encode_integer,
    encode_oid,
    enter,
    read_integer,
    read_octets,
    tlv,
)
from bridge.projections.snmp.counters import UNKNOWN_CONTEXTS, UNKNOWN_PDU_HANDLERS, USM_COUNTERS, USM_STATS, Counters
from bridge.projections.snmp.oidtree import Tree
from bridge.projections.snmp.pdu import REPORT, encode_pdu, parse_pdu, peek_request_id
from bridge.projections.snmp.responder import Pending, Responder, Sealed, Version
from bridge.projections.snmp.usm import (
    MAX_ENGINE_ID_BYTES,
    MIN_ENGINE_ID_BYTES,
    SALT_BYTES,
    EngineClock,
    Salt,
    User,
    UserConfig,
)
from bridge.projections.snmp.views import SecurityLevel, Window

USM = 3
REPORTABLE = 4
# Least msgMaxSize (RFC 3412, 6.2), and the largest datagram we take.
MIN_MAX_SIZE = 484
MAX_RECEIVE = 65507
_MAX_RECEIVE_TLV = encode_integer(MAX_RECEIVE)
_VERSION_TLV = encode_integer(3)
_LEVEL_TLVS = {level: bytes((4, 1, level, 2, 1, USM)) for level in SecurityLevel}
_LEVELS = {level.value: level for level in SecurityLevel}
# Bytes around the scoped PDU at most: all headers and integers, without ids, user and digest.
_FIXED_OVERHEAD = 80


class InvalidMessage(BerError):
    """Privacy without authentication, or a size nobody may ask for (RFC 3412, 7.2.5 and 6.2)."""


class Message(NamedTuple):
    message_id: int
    max_size: int
    level: SecurityLevel
    reportable: bool
    engine_id: bytes
    boots: int
    time_s: int
    user: bytes
    # Where the digest's contents are in the datagram, and how many bytes they are.
    digest_at: int
    digest_bytes: int
    salt: bytes
    # The scoped PDU, still encrypted where the level says so.
    scoped: bytes


def parse_message(data: bytes, at: int) -> Message | None:
    """Read what follows the version at `at`; None for an unknown security model. Raises: BerError."""
    end = len(data)
    header, header_end = enter(data, at, end, SEQUENCE)
    message_id, header = read_integer(data, header, header_end)
    max_size, header = read_integer(data, header, header_end)
    flags, header = read_octets(data, header, header_end, 1)
    model, header = read_integer(data, header, header_end)
    if header != header_end or message_id < 0 or not flags:
        raise BerError("v3 header")
    if model != USM:
        return None
    level_bits = flags[0] & 3
    if level_bits == 2 or max_size < MIN_MAX_SIZE:
        raise InvalidMessage(f"flags {level_bits}, msgMaxSize {max_size}")
    at, security_end = enter(data, header_end, end, OCTET_STRING)
    at, stop = enter(data, at, security_end, SEQUENCE)
    engine_id, at = read_octets(data, at, stop, MAX_ENGINE_ID_BYTES)
    boots, at = read_integer(data, at, stop)
    time_s, at = read_integer(data, at, stop)
    user, at = read_octets(data, at, stop, 32)
    digest_at, at = enter(data, at, stop, OCTET_STRING)
    digest_bytes = at - digest_at
    salt, at = read_octets(data, at, stop, SALT_BYTES)
    if at != stop or stop != security_end or boots < 0 or time_s < 0:
        raise BerError("USM parameters")
    return Message(
        message_id, max_size, _LEVELS[level_bits], bool(flags[0] & REPORTABLE),
        engine_id, boots, time_s, user, digest_at, digest_bytes, salt, data[security_end:],
    )  # fmt: skip


class V3:
    """One authoritative engine."""

    def __init__(
        self,
        engine_id: bytes,
        clock: EngineClock,
        users: Iterable[UserConfig],
        counters: Counters,
        responder: Responder,
        max_message: int,
    ) -> None:
        """Raises: ValueError for an engine id or a user out of range."""
        if not MIN_ENGINE_ID_BYTES <= len(engine_id) <= MAX_ENGINE_ID_BYTES:
            raise ValueError(f"engine id of {len(engine_id)} bytes")
        self._engine_id = engine_id
        self._clock = clock
        self._users = {user.name: User(user, engine_id) for user in users}
        self._windows: dict[bytes, Window] = {}
        self._counters = counters
        self._responder = responder
        self._max_message = max_message
        self._salt = Salt()
        self._engine_tlv = tlv(OCTET_STRING, engine_id)
        # engine id and boots: the same in every message of one run
        self._head_tlvs = self._engine_tlv + encode_integer(clock.boots)

    def show(self, tree: Tree) -> None:
        self._windows = {name: Window(tree, user.grant) for name, user in self._users.items()}

    def handle(self, data: bytes, at: int, barred: bool = False) -> bytes | Sealed | None:
        """
        Answer the message whose version ends at `at`; `barred`: only who proves who it is.

        Raises: BerError.
        """
        try:
            message = parse_message(data, at)
        except InvalidMessage:
            self._counters.invalid_messages += 1
            return None
        if message is None:
            self._counters.unknown_security_models += 1
            return None
        user = self._users.get(message.user)
        failure = self._check(data, message, user)
        if failure or user is None:
            # Only this report may be signed: the sender has shown that it knows the key (RFC 3414, 3.2.7).
            signer = user if failure == 2 else None
            if barred and failure != 2:
                return None
            return self._usm_report(message, failure, signer)
        scoped = message.scoped
        if message.level is SecurityLevel.AUTH_PRIV:
            start, stop = enter(scoped, 0, len(scoped), OCTET_STRING)
            if len(message.salt) != SALT_BYTES or stop != len(scoped):
                return self._usm_report(message, 6, None)
            scoped = user.decrypt(scoped[start:stop], message.boots, message.time_s, message.salt)
        return self._answer(message, user, scoped)

    def _check(self, data: bytes, message: Message, user: User | None) -> int:
        """Return the number of the usmStats counter that refuses the message, 0 if none does."""
        if message.engine_id != self._engine_id:
            return 4
        if user is None:
            return 3
        if message.level > user.level:
            return 1
        if message.level is SecurityLevel.NO_AUTH:
            return 0
        if message.digest_bytes != user.digest_bytes or not user.genuine(data, message.digest_at):
            return 5
        return 0 if self._clock.in_window(message.boots, message.time_s) else 2

    def _answer(self, message: Message, user: User, scoped: bytes) -> bytes | Sealed | None:
        at, end = enter(scoped, 0, len(scoped), SEQUENCE)
        if end != len(scoped):
            raise BerError("bytes behind the scoped PDU")
        context_engine, at = read_octets(scoped, at, end, MAX_ENGINE_ID_BYTES)
        context, at = read_octets(scoped, at, end, 255)
        if context_engine != self._engine_id:
            self._counters.unknown_pdu_handlers += 1
            count = self._counters.unknown_pdu_handlers
            return self._report(message, UNKNOWN_PDU_HANDLERS, count, user, message.level)
        if context:
            self._counters.unknown_contexts += 1
            return self._report(message, UNKNOWN_CONTEXTS, self._counters.unknown_contexts, user, message.level)
        request = parse_pdu(scoped, at, end)
        window = self._windows[user.name]
        own = 2 * len(self._engine_id) + len(user.name) + user.digest_bytes
        room = min(message.max_size, self._max_message) - _FIXED_OVERHEAD - own
        if message.level < window.level:
            pdu: bytes | Pending | None = self._responder.deny(request, Version.V2, room)
        else:
            pdu = self._responder.respond(request, window, Version.V2, room, user.label)
        if isinstance(pdu, Pending):
            return Sealed(pdu, user.label, lambda late: self._seal(message, user, message.level, late))
        return None if pdu is None else self._seal(message, user, message.level, pdu)

    def _usm_report(self, message: Message, failure: int, signer: User | None) -> bytes | None:
        counter = USM_COUNTERS[failure]
        count = getattr(self._counters, counter) + 1
        setattr(self._counters, counter, count)
        level = SecurityLevel.NO_AUTH if signer is None else SecurityLevel.AUTH
        return self._report(message, (*USM_STATS, failure, 0), count, signer, level)

    def _report(self, message: Message, name: Oid, count: int, user: User | None, level: SecurityLevel) -> bytes | None:
        if not message.reportable:
            return None
        request_id = 0
        if message.level is not SecurityLevel.AUTH_PRIV:
            request_id = _peek_scoped(message.scoped)
        counter = encode_integer(count & 0xFFFF_FFFF, Syntax.COUNTER32)
        varbind = tlv(SEQUENCE, tlv(Syntax.OBJECT_ID, encode_oid(name)) + counter)
        return self._seal(message, user, level, encode_pdu(REPORT, request_id, 0, 0, varbind))

    def _seal(self, message: Message, user: User | None, level: SecurityLevel, pdu: bytes) -> bytes:
        time_s = self._clock.time_s()
        body = tlv(SEQUENCE, self._engine_tlv + b"\x04\x00" + pdu)
        header = tlv(SEQUENCE, encode_integer(message.message_id) + _MAX_RECEIVE_TLV + _LEVEL_TLVS[level])
        if user is None or level is SecurityLevel.NO_AUTH:
            security = self._head_tlvs + encode_integer(time_s) + tlv(OCTET_STRING, message.user) + b"\4\0\4\0"
            return tlv(SEQUENCE, _VERSION_TLV + header + tlv(OCTET_STRING, tlv(SEQUENCE, security)) + body)
        salt_tlv = b"\4\0"
        if level is SecurityLevel.AUTH_PRIV:
            salt = self._salt.take()
            salt_tlv = bytes((OCTET_STRING, SALT_BYTES)) + salt
            body = tlv(OCTET_STRING, user.encrypt(body, self._clock.boots, time_s, salt))
        security = self._head_tlvs + encode_integer(time_s) + user.name_tlv + user.no_digest_tlv + salt_tlv
        whole = tlv(SEQUENCE, _VERSION_TLV + header + tlv(OCTET_STRING, tlv(SEQUENCE, security)) + body)
        stop = len(whole) - len(body) - len(salt_tlv)
        return whole[: stop - user.digest_bytes] + user.sign(whole) + whole[stop:]


def _peek_scoped(scoped: bytes) -> int:
    try:
        at, end = enter(scoped, 0, len(scoped), SEQUENCE)
        _, at = read_octets(scoped, at, end, MAX_ENGINE_ID_BYTES)
        _, at = read_octets(scoped, at, end, 255)
    except BerError:
        return 0
    return peek_request_id(scoped, at, end)
