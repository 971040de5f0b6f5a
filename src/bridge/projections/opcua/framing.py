"""
A whole message in one chunk, decoded and encoded without the library's chunk objects (OPC 10000-6, 6.7.2 and 7.1.2).

    MSGF | size u32 | channel u32 | token u32 | sequence number u32 | request id u32 | body [| padding | signature]
What is encrypted begins with the sequence number. Anything but the plain case is left to the library.
"""

import struct
from typing import NamedTuple

from asyncua.common.connection import SecureConnection
from asyncua.crypto.security_policies import CryptographyNone
from asyncua.crypto.uacrypto import InvalidSignature

FINAL_MESSAGE = b"MSGF"
# message type, chunk type and size
CHUNK_HEAD = 8
_SEQUENCE = struct.Struct("<II")
_HEAD = struct.Struct("<4sIII")
_WHOLE_HEAD = struct.Struct("<4sIIIII")
# From here on the library counts: it knows how to wrap.
_LAST_SEQUENCE = 0xFFFF_FBFF


class Message(NamedTuple):
    """`data` from `at` on: the body of the message."""

    sequence: int
    request_id: int
    data: bytes
    at: int


def opened(connection: SecureConnection, chunk: bytes) -> Message | None:
    """
    Return the message of a chunk and count it as received; None, with nothing changed, for what the library shall see.
    """
    token = connection.security_token
    if chunk[:4] != FINAL_MESSAGE or connection._incoming_parts or len(chunk) > connection._limits.max_recv_buffer:
        return None
    if len(chunk) < _WHOLE_HEAD.size or _SEQUENCE.unpack_from(chunk, 8) != (token.ChannelId, token.TokenId):
        return None
    crypto = connection.security_policy.symmetric_cryptography
    if type(crypto) is CryptographyNone:
        data, at = chunk, 16
    else:
        try:
            crypto.use_prev_key = False
            plain = crypto.decrypt(chunk[16:])
            size = crypto.vsignature_size()
            data, signature = plain[:-size], plain[-size:]
            crypto.verify(chunk[:16] + data, signature)
            data, at = crypto.remove_padding(data), 0
        except (InvalidSignature, ValueError):
            # the library tries the key before, or says what is wrong
            return None
    if len(data) < at + _SEQUENCE.size:
        return None
    sequence, request_id = _SEQUENCE.unpack_from(data, at)
    expected = connection._peer_sequence_number
    if expected is not None and sequence != expected + 1:
        return None
    at += _SEQUENCE.size
    if not connection._limits.is_msg_size_within_limit(len(data) - at):
        return None
    connection._peer_sequence_number = sequence
    return Message(sequence, request_id, data, at)


def sealed(connection: SecureConnection, body: bytes, request_id: int) -> bytes:
    """Return the message on the wire; the sequence number moves only when there is one."""
    token, policy = connection.security_token, connection.security_policy
    crypto, most = policy.symmetric_cryptography, connection._limits.max_send_buffer
    number = connection._sequence_number + 1
    if number < _LAST_SEQUENCE:
        if type(crypto) is CryptographyNone:
            size = len(body) + _WHOLE_HEAD.size
            if size <= most:
                connection._sequence_number = number
                head = _WHOLE_HEAD.pack(FINAL_MESSAGE, size, token.ChannelId, token.TokenId, number, request_id)
                return head + body
        else:
            plain = _SEQUENCE.pack(number, request_id) + body
            plain += crypto.padding(len(plain))
            size = 16 + len(plain) + crypto.signature_size()
            if size <= most:
                head = _HEAD.pack(FINAL_MESSAGE, size, token.ChannelId, token.TokenId)
                data = head + crypto.encrypt(plain + crypto.signature(head + plain))
                connection._sequence_number = number
                return data
    # several chunks
    return connection.message_to_binary(body, request_id=request_id)
