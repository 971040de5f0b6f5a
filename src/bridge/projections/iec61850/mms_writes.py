"""
What a client tried to change and the library refused by itself: seen on the wire, for the library tells nobody.

    TPKT (RFC 1006) 03 00 length 2 | COTP DT 02 F0 80 | session 01 00 01 00 | presentation 61 { 30 { 02 ctx, A0 MMS } }
    MMS (ISO 9506-2)   request  A0 { 02 invoke id, [service] ... }      write [5] { A0 { 30 { A0 name } ... }, A0 data }
                       response A1 { 02 invoke id, [service] ... }      write [5] { 80 error | 81 success ... }
                       error    A2 { 80 invoke id, ... }                reject A4 { 80 invoke id, ... }

The rule one must not break: it only looks. What it cannot read it passes over, and its memory is bounded.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final

_TPKT_HEADER: Final = 4
_DATA: Final = b"\x02\xf0"
_SESSION: Final = b"\x01\x00\x01\x00"
# fully encoded data, its one element, and the value in that (ISO 8823-1)
_PRESENTATION: Final = (0x61, 0x30)
_PRESENTED: Final = 0xA0
_LAST_OF_MESSAGE: Final = 0x80
# octets of a message put together from several TPKTs; libiec61850 takes 65,000
_MESSAGE_MOST: Final = 70_000
# requests of a connection that wait for their answer; names in one of them
_PENDING_MOST, _NAMES_MOST = 64, 64
_NAME_MOST: Final = 130
_REQUEST, _RESPONSE, _ERROR, _REJECT = 0xA0, 0xA1, 0xA2, 0xA4
_INVOKE_ID, _OTHER_INVOKE_ID = 0x02, 0x80
_WRITE: Final = 5
# services of ISO 9506-2 that change nothing: status, get name list, identify, read, attributes of a variable, of an
# access, of a list and of a type, journal, file open, read, close and directory
_READING: Final = frozenset({0, 1, 2, 4, 6, 9, 12, 15, 65, 72, 73, 74, 77})
_SERVICES: Final = {
    3: "rename",
    7: "define variable",
    10: "delete variable access",
    11: "define data set",
    13: "delete data set",
    46: "obtain file",
    75: "rename file",
    76: "delete file",
}
# what a client does to report its own way, and what our handlers have recorded by themselves
_OWN: Final = ("RP", "BR")
_CONTROL: Final = "CO"
_ACCESS_ERRORS: Final = {
    1: "hardware fault",
    2: "temporarily unavailable",
    3: "object access denied",
    4: "object undefined",
    5: "invalid address",
    7: "type inconsistent",
    9: "object access unsupported",
    10: "object does not exist",
    11: "value invalid",
}
# (item, reason)
Refused = Callable[[str, str], None]


class Unreadable(ValueError):
    """Bytes that are no message of ours."""


class MmsWrites:
    """One connection. `asked` and `answered`: the bytes of both directions, as they come."""

    def __init__(self, refused: Refused) -> None:
        self._refused = refused
        self._requests, self._answers = Messages(), Messages()
        # invoke id -> service, and what a write names
        self._pending: OrderedDict[int, tuple[int, list[str]]] = OrderedDict()

    def asked(self, data: bytes) -> None:
        for message in self._requests.feed(data):
            try:
                self._request(message)
            except Unreadable:
                continue

    def answered(self, data: bytes) -> None:
        for message in self._answers.feed(data):
            if not self._pending:
                continue
            try:
                self._answer(message)
            except Unreadable:
                continue

    def _request(self, message: memoryview) -> None:
        tag, body = pdu_of(message)
        if tag != _REQUEST:
            return
        parts = elements(body)
        tag, invoke = next(parts, (0, b""))
        service, content = next(parts, (0, memoryview(b"")))
        if tag != _INVOKE_ID or service_of(service) in _READING:
            return
        names = list(written(content)) if service_of(service) == _WRITE else []
        self._pending[int.from_bytes(invoke, "big")] = service_of(service), names
        if len(self._pending) > _PENDING_MOST:
            self._pending.popitem(last=False)

    def _answer(self, message: memoryview) -> None:
        tag, body = pdu_of(message)
        if tag not in (_RESPONSE, _ERROR, _REJECT):
            return
        parts = elements(body)
        kind, invoke = next(parts, (0, b""))
        if kind not in (_INVOKE_ID, _OTHER_INVOKE_ID):
            return
        service, names = self._pending.pop(int.from_bytes(invoke, "big"), (-1, []))
        if service < 0:
            return
        if tag != _RESPONSE:
            for name in names or [_SERVICES.get(service, f"service {service}")]:
                self._refused(name, "refused by the server")
        elif service == _WRITE:
            _, results = next(parts, (0, memoryview(b"")))
            for name, (result, code) in zip(names, elements(results), strict=False):
                if result == 0x80:
                    number = int.from_bytes(code, "big")
                    self._refused(name, _ACCESS_ERRORS.get(number, f"data access error {number}"))


class Messages:
    """Cut one direction into session data. A message that is too long, or no TPKT, ends the looking for good."""

    def __init__(self) -> None:
        self._rest = b""
        self._parts = b""
        self._lost = False

    def feed(self, data: bytes) -> Iterator[memoryview]:
        if self._lost:
            return
        data = self._rest + data if self._rest else data
        at, size = 0, len(data)
        while size - at >= _TPKT_HEADER:
            length = data[at + 2] << 8 | data[at + 3]
            if data[at] != 3 or length <= _TPKT_HEADER:
                self._lost, self._rest, self._parts = True, b"", b""
                return
            if size - at < length:
                break
            yield from self._packet(data[at + _TPKT_HEADER : at + length])
            at += length
        self._rest = data[at:]

    def _packet(self, packet: bytes) -> Iterator[memoryview]:
        if len(packet) < 3 or packet[:2] != _DATA:
            return
        self._parts += packet[3:]
        if len(self._parts) > _MESSAGE_MOST:
            self._lost, self._rest, self._parts = True, b"", b""
        elif packet[2] & _LAST_OF_MESSAGE:
            message, self._parts = self._parts, b""
            yield memoryview(message)


def pdu_of(message: memoryview) -> tuple[int, memoryview]:
    """Return tag and content of the MMS PDU in session data. Raises: Unreadable."""
    if bytes(message[: len(_SESSION)]) != _SESSION:
        raise Unreadable("no session data")
    body = message[len(_SESSION) :]
    for wanted in _PRESENTATION:
        tag, body = next(elements(body), (0, memoryview(b"")))
        if tag != wanted:
            raise Unreadable("no presentation data")
    for tag, value in elements(body):
        if tag == _PRESENTED:
            return next(elements(value), (0, memoryview(b"")))
    raise Unreadable("no presentation value")


def elements(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield tag and content of each element (X.690 8.1); a tag of two octets as one number. Raises: Unreadable."""
    at, size = 0, len(data)
    while at < size:
        tag, at = data[at], at + 1
        if tag & 0x1F == 0x1F:
            if at >= size or data[at] & 0x80:
                raise Unreadable("a tag of more than two octets")
            tag, at = tag << 8 | data[at], at + 1
        if at >= size:
            raise Unreadable("no length")
        length, at = data[at], at + 1
        if length & 0x80:
            octets = length & 0x7F
            if not 1 <= octets <= 3 or at + octets > size:
                raise Unreadable("a length of more than three octets")
            length, at = int.from_bytes(data[at : at + octets], "big"), at + octets
        if at + length > size:
            raise Unreadable("cut short")
        yield tag, data[at : at + length]
        at += length


def service_of(tag: int) -> int:
    """Return the number of a service by its tag."""
    return tag & 0x7F if tag > 0xFF else tag & 0x1F


def written(content: memoryview) -> Iterator[str]:
    """Yield what a write names, as a person does: GW1m/MMXU1.TotW.mag.f [MX]. Raises: Unreadable."""
    kind, variables = next(elements(content), (0, memoryview(b"")))
    if kind != 0xA0:
        yield "data set"
        return
    for number, (_, variable) in enumerate(elements(variables)):
        if number == _NAMES_MOST:
            return
        _, name = next(elements(variable), (0, memoryview(b"")))
        _, scoped = next(elements(name), (0, memoryview(b"")))
        words = [bytes(word[:_NAME_MOST]).decode("ascii", "replace") for _, word in elements(scoped)]
        yield item_name(words[0], words[1]) if len(words) == 2 else "variable"


def item_name(domain: str, item: str) -> str:
    """Return the IEC 61850-7-2 name of an MMS item (8-1, 7.3.3): LN$FC$DO$DA."""
    node, _, rest = item.partition("$")
    constraint, _, path = rest.partition("$")
    return f"{domain}/{'.'.join([node, *path.split('$')])} [{constraint}]"


def is_recorded_elsewhere(name: str, controls: frozenset[str]) -> bool:
    """
    Tell whether a refusal of `name` needs no record: a report block, or a control whose handler records it.

    `controls`: names of controllable objects, with their domain.
    """
    path, _, constraint = name.partition(" [")
    constraint = constraint.rstrip("]")
    return constraint in _OWN or (constraint == _CONTROL and ".".join(path.split(".")[:2]) in controls)
