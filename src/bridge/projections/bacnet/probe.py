"""Ask the own listener what it is, as a client would: ReadProperty of the Device object through a socket of its own."""

import asyncio

from bridge.core.errors import ProjectionError
from bridge.projections.bacnet import wire
from bridge.projections.bacnet.plan import DEVICE

# Seconds for the answer.
ANSWER_S = 3.0
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1"}
_INVOKE_ID = 1


class _Question(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        del addr
        if not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def ask(bind: str, port: int, instance: int) -> None:
    """Raises: OSError, TimeoutError; ProjectionError for another answer than the object's own identifier."""
    object_id = DEVICE << 22 | instance
    request = b"\x0c" + object_id.to_bytes(4, "big") + bytes((0x19, wire.OBJECT_ID))
    apdu = bytes((0x00, 0x05, _INVOKE_ID, wire.READ_PROPERTY)) + request
    datagram = b"\x81\x0a" + (6 + len(apdu)).to_bytes(2, "big") + b"\x01\x04" + apdu
    expected = (
        bytes((0x30, _INVOKE_ID, wire.READ_PROPERTY)) + request + b"\x3e\xc4" + object_id.to_bytes(4, "big") + b"\x3f"
    )
    async with asyncio.timeout(ANSWER_S):
        transport, question = await asyncio.get_running_loop().create_datagram_endpoint(
            _Question, remote_addr=(_EVERY_ADDRESS.get(bind, bind), port)
        )
        try:
            transport.sendto(datagram)
            answer = await question.answer
        finally:
            transport.close()
    if answer[6:] != expected:
        raise ProjectionError(("listener",), f"expected the device's own identifier, found {answer[:64].hex()}")
