"""A raw OPC UA client over a blocking socket, without security: sends any bytes, and shows the bytes of the answer."""

import contextlib
import socket
import struct
from types import TracebackType
from typing import Any, Self

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary, struct_to_binary

NO_SECURITY = "http://opcfoundation.org/UA/SecurityPolicy#None"
# Head of a symmetric message: type and size, channel and token, sequence number and request id
HEAD = 24


class Closed(Exception):
    """The server has ended the connection."""


class RawClient:
    """`hello` and `open_channel`, then `session`, or nothing at all."""

    def __init__(self, port: int, timeout_s: float = 5.0) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self.url = f"opc.tcp://127.0.0.1:{port}"
        self.channel = self.token = 0
        self.sequence, self.auth = 0, ua.NodeId()
        # name and password; none: anonymous
        self.user: tuple[str, str] | None = None
        # the last one made
        self.subscription = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sock.close()

    def hello(self, buffer: int = 65_535) -> bytes:
        text = self.url.encode()
        body = struct.pack("<IIIII", 0, buffer, buffer, 0, 0) + struct.pack("<i", len(text)) + text
        return self.exchange(chunk(b"HELF", body))

    def open_channel(self) -> None:
        request = ua.OpenSecureChannelRequest()
        request.Parameters.RequestType = ua.SecurityTokenRequestType.Issue
        request.Parameters.SecurityMode = ua.MessageSecurityMode.None_
        request.Parameters.RequestedLifetime = 3_600_000
        head = struct.pack("<I", 0) + struct.pack("<i", len(NO_SECURITY)) + NO_SECURITY.encode() + b"\xff" * 8
        self.sequence += 1
        body = head + struct.pack("<II", self.sequence, self.sequence) + struct_to_binary(request)
        answer = self.exchange(chunk(b"OPNF", body))
        at = 12 + 4 + len(NO_SECURITY) + 8 + 8
        buffer = Buffer(answer[at:])
        nodeid_from_binary(buffer)
        struct_from_binary(ua.ResponseHeader, buffer)
        result = struct_from_binary(ua.OpenSecureChannelResult, buffer)
        self.channel, self.token = result.SecurityToken.ChannelId, result.SecurityToken.TokenId

    def session(self) -> Self:
        """Hello, channel, session, activated without a name."""
        self.hello()
        self.open_channel()
        create = ua.CreateSessionRequest()
        create.Parameters.ClientDescription.ApplicationUri = "urn:raw"
        create.Parameters.EndpointUrl = self.url
        create.Parameters.RequestedSessionTimeout = 30_000
        created = self.ask(create, ua.CreateSessionResponse)
        self.auth = created.Parameters.AuthenticationToken
        activate = ua.ActivateSessionRequest()
        activate.Parameters.UserIdentityToken = ua.AnonymousIdentityToken(PolicyId="anonymous")
        if self.user is not None:
            name, password = self.user
            token = ua.UserNameIdentityToken(PolicyId="username", UserName=name, Password=password.encode())
            activate.Parameters.UserIdentityToken = token
        self.ask(activate, ua.ActivateSessionResponse)
        return self

    def ask(self, request: Any, answer: Any) -> Any:
        """Return the decoded answer. Raises: ua.UaStatusCodeError for a fault."""
        data = self.request(self.encoded(request))
        buffer = Buffer(data)
        kind = nodeid_from_binary(buffer)
        buffer = Buffer(data)
        if kind == ua.NodeId(ua.ObjectIds.ServiceFault_Encoding_DefaultBinary):
            struct_from_binary(ua.ServiceFault, buffer).ResponseHeader.ServiceResult.check()
        return struct_from_binary(answer, buffer)

    def encoded(self, request: Any, diagnostics: int = 0) -> bytes:
        """`diagnostics`: bits that ask for diagnostics; a request with some goes the library's way."""
        request.RequestHeader.AuthenticationToken = self.auth
        request.RequestHeader.RequestHandle = 7
        request.RequestHeader.ReturnDiagnostics = diagnostics
        request.RequestHeader.TimeoutHint = 5000
        data: bytes = struct_to_binary(request)
        return data

    def request(self, body: bytes) -> bytes:
        """Return the body of the answer, all chunks of it."""
        self.send(body)
        return self.receive()

    def send(self, body: bytes, kind: bytes = b"MSGF") -> None:
        self.sequence += 1
        head = struct.pack("<IIII", self.channel, self.token, self.sequence, self.sequence)
        self.sock.sendall(chunk(kind, head + body))

    def receive(self) -> bytes:
        parts = []
        while True:
            data = self.answer()
            if data[:3] == b"ERR":
                raise Closed(hex(struct.unpack_from("<I", data, 8)[0]))
            parts.append(data[HEAD:])
            if data[3:4] == b"F":
                return b"".join(parts)

    def exchange(self, data: bytes) -> bytes:
        self.sock.sendall(data)
        return self.answer()

    def answer(self) -> bytes:
        """Return one chunk. Raises: Closed, TimeoutError."""
        head = self._exactly(8)
        return head + self._exactly(struct.unpack_from("<I", head, 4)[0] - 8)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                part = self.sock.recv(count - len(data))
            except ConnectionError as exc:
                raise Closed(str(exc)) from exc
            if not part:
                raise Closed("end of stream")
            data += part
        return data

    def abort(self) -> None:
        """Leave without a word: a reset, no close."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body) + 8) + body


def read_request(names: list[str], timestamps: int = 0, attribute: int = 13) -> Any:
    request = ua.ReadRequest()
    request.Parameters.TimestampsToReturn = ua.TimestampsToReturn(timestamps)
    wanted = [ua.ReadValueId(NodeId=ua.NodeId(name, 2), AttributeId=attribute) for name in names]
    request.Parameters.NodesToRead = wanted
    return request


def browse_request(names: list[str], direction: int = 2, reference: int = 0, classes: int = 0) -> Any:
    request = ua.BrowseRequest()
    request.Parameters.View.ViewId = ua.NodeId()
    request.Parameters.NodesToBrowse = [
        ua.BrowseDescription(
            NodeId=ua.NodeId(name, 2),
            BrowseDirection=ua.BrowseDirection(direction),
            ReferenceTypeId=ua.NodeId(reference) if reference else ua.NodeId(),
            IncludeSubtypes=True,
            NodeClassMask=classes,
            ResultMask=63,
        )
        for name in names
    ]
    return request
