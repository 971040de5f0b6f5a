"""Who asks a server, and how old a reading is when it gets there: what a person looks for a fault with."""

import msgspec

# Rows of one answer; a server with more clients tells of those that asked last
CLIENTS_MOST = 100


class Client(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """
    One address at one listener. `connections`: open now, 0 for datagrams. `messages`: whole ones since it first came.
    `known_s`, `quiet_s`: since its first and its last message.
    """

    address: str
    port: int
    connections: int
    messages: int
    known_s: float
    quiet_s: float


class Census(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """
    What a server tells of itself when it is asked. `delay_ms`, `delay_most_ms`: from a meter's reply to this server,
    middle and greatest of the newest batches; -1 for none yet.
    """

    clients: list[Client] = []
    delay_ms: float = -1.0
    delay_most_ms: float = -1.0
