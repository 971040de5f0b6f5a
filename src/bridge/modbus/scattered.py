"""
Function 100, sub-function 4: read up to 100 holding registers that stand apart. Pure.

    request   64h | bytes that follow | 04h | transmission number 1 | address 2 ...
    reply     64h | bytes that follow | 04h | transmission number 1 | value 2 ...

Not of the Modbus standard. Source: Schneider Electric, FAQ000241252 "How to decode modbus Scattered Holding Register
Read Function" (addresses go out as they are) and DOCA0172 (EcoStruxure Panel Server user guide), "Function 100-4: Read
Non-Adjacent Registers" (n <= 100; the server sends the transmission number back).
"""

FUNCTION, SUB_FUNCTION = 100, 4
# DOCA0172; the FAQ says from two on, and one is no reason to refuse
MOST_REGISTERS = 100
# bytes before the addresses, and before the values: what a reply repeats
HEAD = 4


def request(transmission: int, addresses: tuple[int, ...]) -> bytes:
    """Return the request PDU for 1 to 100 addresses, 0-based."""
    head = bytes((FUNCTION, 2 + 2 * len(addresses), SUB_FUNCTION, transmission))
    return head + b"".join(address.to_bytes(2, "big") for address in addresses)


def reply(asked: bytes, values: bytes) -> bytes:
    """Return the reply PDU to a request: `values`, two bytes per register, in the order asked."""
    return asked[:HEAD] + values


def addresses_of(pdu: bytes) -> tuple[int, ...]:
    """Return the addresses a request asks for; nothing for one that is not as written above."""
    size = len(pdu) - HEAD
    good = size > 0 and size % 2 == 0 and size <= 2 * MOST_REGISTERS and pdu[0] == FUNCTION
    if not good or pdu[1] != len(pdu) - 2 or pdu[2] != SUB_FUNCTION:
        return ()
    return tuple(int.from_bytes(pdu[at : at + 2], "big") for at in range(HEAD, len(pdu), 2))
