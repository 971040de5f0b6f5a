"""
What a client asks, answered: the short way for values and references, everything rare by the library's processor.

The library neither checks the AuthenticationToken nor the certificate of the channel and lets a channel without
security ask for a session where none is offered; all three are refused here before it sees the request.
"""

import asyncio
import logging
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from asyncua import ua
from asyncua.common.utils import Buffer, NotEnoughData, ServiceError
from asyncua.server.binary_server_asyncio import BinaryServer
from asyncua.server.uaprocessor import UaProcessor
from asyncua.ua.ua_binary import (
    nodeid_to_binary,
    struct_from_binary,
    struct_to_binary,
    uatcp_to_binary,
)

from bridge.core.clock import Clock
from bridge.projections.opcua.binary import I4, II, node_id_end, ticks
from bridge.projections.opcua.framing import Message, opened, sealed
from bridge.projections.opcua.image import Image
from bridge.projections.opcua.pki import uris_of
from bridge.projections.opcua.requests import Browses, Reads
from bridge.projections.opcua.session import Session

_log = logging.getLogger("bridge.opcua")
# Encoded NodeIds of requests and replies: numeric, four bytes.
_READ, _READ_RESPONSE = b"\x01\x00\x77\x02", b"\x01\x00\x7a\x02"
_BROWSE, _BROWSE_RESPONSE = b"\x01\x00\x0f\x02", b"\x01\x00\x12\x02"
_PUBLISH_RESPONSE = b"\x01\x00\x3d\x03"
# ResponseHeader of a good answer: Timestamp, RequestHandle, ServiceResult, no diagnostics, no strings, no header
_RESPONSE = struct.Struct("<4sqII8x").pack
# Smallest buffer a client may have (OPC 10000-6, 7.1.2.3).
_SMALLEST_BUFFER = 8192
_ids = ua.ObjectIds
_WITHOUT_SESSION = frozenset(
    ua.NodeId(number)
    for number in (
        _ids.GetEndpointsRequest_Encoding_DefaultBinary,
        _ids.FindServersRequest_Encoding_DefaultBinary,
        _ids.CloseSecureChannelRequest_Encoding_DefaultBinary,
    )
)
_NEVER = frozenset(
    ua.NodeId(number)
    for number in (
        _ids.RegisterServerRequest_Encoding_DefaultBinary,
        _ids.RegisterServer2Request_Encoding_DefaultBinary,
    )
)
# services that would change the address space or the past, with the word the audit has for them
_CHANGING = {
    ua.NodeId(_ids.AddNodesRequest_Encoding_DefaultBinary): "AddNodes",
    ua.NodeId(_ids.DeleteNodesRequest_Encoding_DefaultBinary): "DeleteNodes",
    ua.NodeId(_ids.AddReferencesRequest_Encoding_DefaultBinary): "AddReferences",
    ua.NodeId(_ids.DeleteReferencesRequest_Encoding_DefaultBinary): "DeleteReferences",
    ua.NodeId(_ids.HistoryUpdateRequest_Encoding_DefaultBinary): "HistoryUpdate",
}
_BROWSE_NEXT = ua.NodeId(_ids.BrowseNextRequest_Encoding_DefaultBinary)
_CREATE_SESSION = ua.NodeId(_ids.CreateSessionRequest_Encoding_DefaultBinary)
_ACTIVATE_SESSION = ua.NodeId(_ids.ActivateSessionRequest_Encoding_DefaultBinary)


@dataclass(frozen=True, slots=True)
class Services:
    """What all channels share. `trusted`: of the certificate a channel is opened with. `sessions`: at once."""

    reads: Reads
    browses: Browses
    image: Image
    clock: Clock
    counters: dict[str, int]
    trusted: Callable[[bytes, str], int]
    sessions: int
    server: BinaryServer


class Processor(UaProcessor):
    """The library's processor with the doors it leaves open closed, and the short way for Read and Browse."""

    def __init__(self, services: Services, transport: Any, limits: Any) -> None:
        super().__init__(services.server.iserver, transport, limits)
        self._services, self._counters = services, services.counters
        self.session: Session | None = None
        self._token, self._token_of = b"", cast("Session | None", None)

    def fast(self, chunk: bytes) -> Message | bool | None:
        """Return True: answered. A message: decoded, for `process_message`. None: for the library to decode."""
        message = opened(self._connection, chunk)
        if message is None:
            return None
        session = self.session
        kind = message.data[message.at : message.at + 4]
        if session is not None and kind in (_READ, _BROWSE) and session.is_activated():
            try:
                if self._serve(kind, message, session):
                    return True
            except (IndexError, struct.error, ValueError, NotEnoughData):
                # exotic or malformed: the library decides
                return message
        return message

    def _serve(self, kind: bytes, message: Message, session: Session) -> bool:
        data, at = message.data, message.at
        end = node_id_end(data, at + 4)
        if self._token_of is not session:
            self._token, self._token_of = bytes(nodeid_to_binary(session.auth_token)), session
        if data[at + 4 : end] != self._token:
            return False
        handle, diagnostics = II.unpack_from(data, end + 8)
        end += 16
        # AuditEntryId, TimeoutHint, AdditionalHeader
        end += 8 + max(0, I4.unpack_from(data, end)[0])
        if diagnostics or data[end : end + 3] != b"\0\0\0":
            return False
        services, key = self._services, data[end + 3 :]
        now = ticks(services.clock.utc_ns())
        if kind == _READ:
            read = services.reads.get(key)
            if read is None:
                return False
            values = services.image.fetch(read.slots, read.timestamps, struct.pack("<q", now))
            body = b"".join((_RESPONSE(_READ_RESPONSE, now, handle, 0), read.encoded_count, values, b"\0\0\0\0"))
        else:
            tail = services.browses.get(key)
            if tail is None:
                return False
            body = _RESPONSE(_BROWSE_RESPONSE, now, handle, 0) + tail
        self.session_last_activity = asyncio.get_running_loop().time()
        session.touch()
        self._transport.write(sealed(self._connection, body, message.request_id))
        self._counters["requests"] += 1
        self._counters["short_way"] += 1
        return True

    def send_response(
        self,
        requesthandle: int,
        seqhdr: ua.SequenceHeader,
        response: Any,
        msgtype: ua.MessageType = ua.MessageType.SecureMessage,
    ) -> None:
        if msgtype is not ua.MessageType.SecureMessage:
            super().send_response(requesthandle, seqhdr, response, msgtype)
            return
        response.ResponseHeader.RequestHandle = requesthandle
        self._transport.write(sealed(self._connection, struct_to_binary(response), seqhdr.RequestId))

    async def forward_publish_response(self, result: Any, requestdata: Any) -> None:
        if isinstance(result, tuple):
            # encoded by our own subscription: the result up to the message, and the message
            head, message = result
            codes = requestdata.results or ()
            tail = I4.pack(len(codes)) + b"".join(struct.pack("<I", code.value) for code in codes) + b"\0\0\0\0"
            now = ticks(self._services.clock.utc_ns())
            body = b"".join(
                (_RESPONSE(_PUBLISH_RESPONSE, now, requestdata.requesthdr.RequestHandle, 0), head, message, tail)
            )
            self._transport.write(sealed(self._connection, body, requestdata.seqhdr.RequestId))
            return
        await super().forward_publish_response(result, requestdata)

    async def process(self, header: ua.Header, body: Buffer) -> bool:
        """Return False to end the connection."""
        if header.MessageType == ua.MessageType.SecureOpen and not self._connection.is_open():
            security = struct_from_binary(ua.AsymmetricAlgorithmHeader, body.copy(header.body_size))
            if security.SenderCertificate:
                code = self._services.trusted(security.SenderCertificate, str(self.name[0]))
                if code:
                    return self._fail(code)
        try:
            alive: bool = await super().process(header, body)
        except (ua.UaError, ServiceError, ValueError, struct.error, IndexError) as exc:
            self._counters["bad_messages"] += 1
            _log.debug("bad_message peer=%s error=%s", self.name, exc)
            return self._fail(ua.StatusCodes.BadTcpInternalError)
        if header.MessageType == ua.MessageType.Hello and self._limits.max_send_buffer < _SMALLEST_BUFFER:
            return self._fail(ua.StatusCodes.BadConnectionRejected)
        return alive is not False

    async def _process_message(self, typeid: ua.NodeId, requesthdr: Any, seqhdr: Any, body: Buffer) -> bool:
        self._counters["requests"] += 1
        if typeid in _WITHOUT_SESSION:
            return await self._library(typeid, requesthdr, seqhdr, body)
        if typeid in _NEVER:
            raise ServiceError(ua.StatusCodes.BadServiceUnsupported)
        policy = self._connection.security_policy
        if not any(offer.matches(policy.URI, policy.Mode) for offer in self._connection._policies):
            raise ServiceError(ua.StatusCodes.BadSecurityPolicyRejected)
        if typeid == _CREATE_SESSION:
            return await self._create_session(typeid, requesthdr, seqhdr, body)
        if self.session is None and typeid == _ACTIVATE_SESSION:
            self._may_move(requesthdr.AuthenticationToken)
            done = await self._library(typeid, requesthdr, seqhdr, body)
            cast("Session", self.session).channel = self
            return done
        if self.session is None or self.session.auth_token != requesthdr.AuthenticationToken:
            raise ServiceError(ua.StatusCodes.BadSessionIdInvalid)
        if typeid == _BROWSE_NEXT and self.session.is_activated():
            params = struct_from_binary(ua.BrowseNextParameters, body)
            answer = ua.BrowseNextResponse()
            answer.Parameters.Results = await self.session.browse_next(params)
            self.send_response(requesthdr.RequestHandle, seqhdr, answer)
            return True
        if typeid in _CHANGING:
            self.iserver.commands.refuse(self.session.user, self.session.peer, _CHANGING[typeid])
            raise ServiceError(ua.StatusCodes.BadUserAccessDenied)
        return await self._library(typeid, requesthdr, seqhdr, body)

    async def _library(self, typeid: ua.NodeId, requesthdr: Any, seqhdr: Any, body: Buffer) -> bool:
        done: bool = await super()._process_message(typeid, requesthdr, seqhdr, body)
        return done

    async def _create_session(self, typeid: ua.NodeId, requesthdr: Any, seqhdr: Any, body: Buffer) -> bool:
        server = self.iserver
        if self.session is not None:
            # one session per channel here; the library would forget the one before and keep its memory
            await self.session.close_session(True)
        if len(server._external_sessions) >= self._services.sessions and not await server.make_room():
            raise ServiceError(ua.StatusCodes.BadTooManySessions)
        if self._session_watchdog_task is not None:
            self._session_watchdog_task.cancel()
        peer = self._connection.security_policy.peer_certificate
        if peer:
            params = struct_from_binary(ua.CreateSessionParameters, body.copy(len(body)))
            if params.ClientCertificate != peer:
                raise ServiceError(ua.StatusCodes.BadCertificateInvalid)
            if params.ClientDescription.ApplicationUri not in uris_of(peer):
                raise ServiceError(ua.StatusCodes.BadCertificateUriInvalid)
        done = await self._library(typeid, requesthdr, seqhdr, body)
        session = cast("Session", self.session)
        session.certificate, session.channel = peer, self
        return done

    async def close(self) -> None:
        """The channel is gone; a session with subscriptions stays for a while."""
        session = self.session
        if session is not None and session.channel not in (None, self):
            # it has moved to another channel, and is not ours to close
            self.session = None
        elif session is not None:
            session.channel = None
        await super().close()

    def _may_move(self, token: ua.NodeId) -> None:
        """A session follows its client to a new channel, not another client (OPC 10000-4, 5.7.3.1)."""
        session = cast("Session | None", self.iserver.lookup_external_session(token))
        if session is None or session.certificate != self._connection.security_policy.peer_certificate:
            raise ServiceError(ua.StatusCodes.BadSessionIdInvalid)

    def _fail(self, code: int) -> bool:
        """Say why, and end the connection."""
        error = ua.ErrorMessage(ua.StatusCode(code), "")
        self._transport.write(uatcp_to_binary(ua.MessageType.Error, error))
        return False
