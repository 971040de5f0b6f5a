"""
What GET, GETNEXT, GETBULK and SET answer, for every version of the protocol.

Every response fits the room it is given: GETBULK is cut by bytes, the others turn into tooBig.
Source: RFC 3416, 4.2; for v1 RFC 1157, 4.1 and RFC 3584, 4.2 to 4.4.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate, chain

from bridge.projections.snmp.ber import SEQUENCE, BerError, decode_value, tlv
from bridge.projections.snmp.counters import Counters
from bridge.projections.snmp.oidtree import ABSENT, Change, ReadFailed, Unfit
from bridge.projections.snmp.pdu import (
    GET,
    GETBULK,
    GETNEXT,
    PDU_OVERHEAD,
    REQUESTS,
    RESPONSE,
    SET,
    ErrorStatus,
    Request,
    encode_pdu,
)
from bridge.projections.snmp.views import Window

NO_SUCH_OBJECT = b"\x80\x00"
NO_SUCH_INSTANCE = b"\x81\x00"
END_OF_MIB_VIEW = b"\x82\x00"
# Bytes of the smallest varbind: two headers and an OID of three; bounds what GETBULK collects before it cuts.
_LEAST_VARBIND = 9

# RFC 3584, 4.4.
_V1_STATUS = {
    ErrorStatus.WRONG_TYPE: ErrorStatus.BAD_VALUE,
    ErrorStatus.WRONG_LENGTH: ErrorStatus.BAD_VALUE,
    ErrorStatus.WRONG_ENCODING: ErrorStatus.BAD_VALUE,
    ErrorStatus.WRONG_VALUE: ErrorStatus.BAD_VALUE,
    ErrorStatus.INCONSISTENT_VALUE: ErrorStatus.BAD_VALUE,
    ErrorStatus.NO_ACCESS: ErrorStatus.NO_SUCH_NAME,
    ErrorStatus.NOT_WRITABLE: ErrorStatus.NO_SUCH_NAME,
    ErrorStatus.NO_CREATION: ErrorStatus.NO_SUCH_NAME,
    ErrorStatus.AUTHORIZATION_ERROR: ErrorStatus.NO_SUCH_NAME,
    ErrorStatus.RESOURCE_UNAVAILABLE: ErrorStatus.GEN_ERR,
    ErrorStatus.COMMIT_FAILED: ErrorStatus.GEN_ERR,
    ErrorStatus.UNDO_FAILED: ErrorStatus.GEN_ERR,
}
_UNFIT = {Unfit.LENGTH: ErrorStatus.WRONG_LENGTH, Unfit.VALUE: ErrorStatus.WRONG_VALUE}


class Version(Enum):
    V1 = 0
    V2 = 1


class Refusal(Exception):
    """A request that gets an error status; `index` counts the varbinds from 0."""

    def __init__(self, status: ErrorStatus, index: int) -> None:
        super().__init__(f"{status.name} of varbind {index}")
        self.status, self.index = status, index


@dataclass(frozen=True, slots=True)
class Pending:
    """
    A SET that is allowed and fits: carry out `changes` in order, then send what `finish` makes of the outcome.

    `finish(status, index)`: NO_ERROR and 0, or what went wrong and the position of its varbind, counted from 1.
    """

    changes: Sequence[Change]
    finish: Callable[[ErrorStatus, int], bytes | None]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A SET to carry out, with who asks (for policy and audit) and how its response becomes a message."""

    pending: Pending
    user: str
    seal: Callable[[bytes], bytes]

    def finish(self, status: ErrorStatus, index: int) -> bytes | None:
        """Return the message that answers the SET."""
        pdu = self.pending.finish(status, index)
        return None if pdu is None else self.seal(pdu)


@dataclass(frozen=True, slots=True)
class RefusedSet:
    """A SET that the agent refused by itself: who asked, the name it failed at (as it came), and why."""

    user: str
    name: bytes
    status: ErrorStatus


class Responder:
    """One thread only. `refused`: of the last request, taken away by who records it."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self.refused: RefusedSet | None = None

    def respond(
        self, request: Request, window: Window, version: Version, room: int, user: str = ""
    ) -> bytes | Pending | None:
        """
        Return the response PDU of at most `room` bytes, None where there is none to give, or the SET to carry out.

        Raises: BerError for a name that is no OID.
        """
        kind = request.kind
        if kind not in REQUESTS or (kind == GETBULK and version is Version.V1):
            self._counters.unknown_pdu_handlers += 1
            return None
        self._counters.count_request(kind, len(request.names))
        if request.overflow:
            return self._fail(request, ErrorStatus.TOO_BIG, 0, version, room)
        try:
            if kind == SET:
                return self._set(request, window, version, room)
            varbinds = _varbinds(request, window, version, room)
        except Refusal as refusal:
            if kind == SET:
                self.refused = RefusedSet(user, request.names[max(refusal.index, 0)], refusal.status)
            return self._fail(request, refusal.status, refusal.index + 1, version, room)
        pdu = encode_pdu(RESPONSE, request.request_id, 0, 0, varbinds)
        if len(pdu) > room:
            return self._fail(request, ErrorStatus.TOO_BIG, 0, version, room)
        self._counters.out_responses += 1
        return pdu

    def deny(self, request: Request, version: Version, room: int) -> bytes | None:
        """Return what a known user gets who came with too low a level (RFC 3413, 3.2)."""
        return self._fail(request, ErrorStatus.AUTHORIZATION_ERROR, 0, version, room)

    def _fail(self, request: Request, status: ErrorStatus, index: int, version: Version, room: int) -> bytes | None:
        self._counters.count_failure(status)
        if version is Version.V1:
            status = _V1_STATUS.get(status, status)
        elif status is ErrorStatus.TOO_BIG:
            return self._fitting(encode_pdu(RESPONSE, request.request_id, status, 0, b""), room)
        pdu = encode_pdu(RESPONSE, request.request_id, status, index, request.echo)
        if len(pdu) > room and version is Version.V2:
            pdu = encode_pdu(RESPONSE, request.request_id, ErrorStatus.TOO_BIG, 0, b"")
        return self._fitting(pdu, room)

    def _fitting(self, pdu: bytes, room: int) -> bytes | None:
        if len(pdu) <= room:
            self._counters.out_responses += 1
            return pdu
        self._counters.silent_drops += 1
        return None

    def _set(self, request: Request, window: Window, version: Version, room: int) -> bytes | Pending | None:
        if len(request.echo) + PDU_OVERHEAD > room:
            # Before anything is written, or the sender would not learn that it was.
            raise Refusal(ErrorStatus.TOO_BIG, -1)
        changes = [
            _change(index, name, tag, contents, window)
            for index, (name, (tag, contents)) in enumerate(zip(request.names, request.values, strict=True))
        ]

        def finish(status: ErrorStatus, index: int) -> bytes | None:
            if status is not ErrorStatus.NO_ERROR:
                return self._fail(request, status, index, version, room)
            self._counters.out_responses += 1
            return encode_pdu(RESPONSE, request.request_id, 0, 0, request.echo)

        return Pending(changes, finish) if changes else finish(ErrorStatus.NO_ERROR, 0)


def _varbinds(request: Request, window: Window, version: Version, room: int) -> bytes:
    if request.kind == GET:
        return b"".join(_get(request.names, window, version))
    if request.kind == GETNEXT:
        return b"".join(_next(request.names, window, version))
    return _bulk(request, window, room - PDU_OVERHEAD)


def _get(names: list[bytes], window: Window, version: Version) -> list[bytes]:
    tree = window.tree
    mask = window.read if version is Version.V2 else window.read_v1
    known, ready, varbinds = tree.known, tree.ready, tree.varbinds
    found: list[bytes] = []
    for index, name in enumerate(names):
        # the common case without a call: 0.3 us less a name
        row = known.get(name, -1)
        if row < 0:
            row = tree.find(name)
        elif ready[row] and mask[row]:
            found.append(varbinds[row])
            continue
        try:
            varbind = tree.varbind(row) if row >= 0 and mask[row] else ABSENT
        except ReadFailed as exc:
            raise Refusal(ErrorStatus.GEN_ERR, index) from exc
        if varbind:
            found.append(varbind)
        elif version is Version.V1:
            raise Refusal(ErrorStatus.NO_SUCH_NAME, index)
        else:
            missing = NO_SUCH_INSTANCE if tree.has_object(name, mask) else NO_SUCH_OBJECT
            found.append(tlv(SEQUENCE, name + missing))
    return found


def _next(names: list[bytes], window: Window, version: Version) -> list[bytes]:
    tree = window.tree
    mask = window.read if version is Version.V2 else window.read_v1
    found: list[bytes] = []
    for index, name in enumerate(names):
        try:
            row = tree.following(mask, tree.after(name))
            varbind = tree.varbind(row) if row >= 0 else ABSENT
        except ReadFailed as exc:
            raise Refusal(ErrorStatus.GEN_ERR, index) from exc
        if varbind:
            found.append(varbind)
        elif version is Version.V1:
            raise Refusal(ErrorStatus.NO_SUCH_NAME, index)
        else:
            found.append(tlv(SEQUENCE, name + END_OF_MIB_VIEW))
    return found


def _bulk(request: Request, window: Window, room: int) -> bytes:
    """GETBULK (RFC 3416, 4.2.3): as many varbinds as fit, in order, and none after the end of all columns."""
    names = request.names
    plain = min(max(request.first, 0), len(names))
    found = _next(names[:plain], window, Version.V2)
    repeaters = names[plain:]
    count = min(request.second, room // (_LEAST_VARBIND * len(repeaters)) + 1) if repeaters else 0
    if count > 0:
        columns = [_column(plain + at, name, window, count) for at, name in enumerate(repeaters)]
        if len(set(map(len, columns))) == 1:
            found += chain.from_iterable(zip(*columns, strict=True))
        else:
            depth = min(count, max(map(len, columns)))
            for at in range(depth):
                found += [column[min(at, len(column) - 1)] for column in columns]
    encoded = b"".join(found)
    if len(encoded) <= room:
        return encoded
    return b"".join(found[: bisect_right(list(accumulate(map(len, found))), room)])


def _column(index: int, name: bytes, window: Window, count: int) -> list[bytes]:
    """Return up to `count` varbinds behind `name`; a shorter list ends with its endOfMibView."""
    tree = window.tree
    try:
        found, last = tree.run(window.read, tree.after(name), count)
    except ReadFailed as exc:
        raise Refusal(ErrorStatus.GEN_ERR, index) from exc
    if len(found) < count:
        found.append(tlv(SEQUENCE, (tree.name(last) if last >= 0 else name) + END_OF_MIB_VIEW))
    return found


def _change(index: int, name: bytes, tag: int, contents: bytes, window: Window) -> Change:
    """Check one varbind of a SET in the order of RFC 3416, 4.2.5. Raises: Refusal."""
    tree = window.tree
    row = tree.find(name)
    if not window.write.count(1) or (row >= 0 and not window.write[row]):
        raise Refusal(ErrorStatus.NO_ACCESS, index)
    if row < 0:
        known = tree.has_object(name, window.write)
        raise Refusal(ErrorStatus.NO_CREATION if known else ErrorStatus.NOT_WRITABLE, index)
    block = tree.block_of(row)
    kind = block.object
    handle = block.handles[row - block.base]
    if kind.change is None or not kind.writable(handle):
        raise Refusal(ErrorStatus.NOT_WRITABLE, index)
    if tag != kind.syntax:
        raise Refusal(ErrorStatus.WRONG_TYPE, index)
    try:
        value = decode_value(kind.syntax, contents)
    except BerError:
        raise Refusal(ErrorStatus.WRONG_ENCODING, index) from None
    change = kind.change(handle, value)
    if isinstance(change, Unfit):
        raise Refusal(_UNFIT[change], index)
    return change
