"""What a server that shows the bridge itself may ask of the core beyond points: questions, and orders of its users."""

from collections.abc import Mapping
from typing import Protocol

from bridge.core.command import Origin
from bridge.core.errors import OperationRefused

# Bytes of an answer; the state of 1,000 meters is 400 kB, the numbers of 80,000 points 12 MB.
ANSWER_LIMIT = 1 << 24


class OperationsPort(Protocol):
    """`ask` needs Grant.OPERATIONS, `order` Grant.ORDERS."""

    async def ask(self, what: str, arguments: Mapping[str, str]) -> bytes:
        """
        Answer one question with JSON; the questions are those of `bridge.app.operations`. Changes nothing.

        Raises: OperationRefused with what a person should read.
        """
        ...

    async def order(self, what: str, arguments: Mapping[str, str], origin: Origin) -> bytes:
        """
        Do something to the bridge itself, one of `bridge.app.orders`. The role of `origin` decides; it is recorded.

        Raises: OperationRefused with what a person should read.
        """
        ...


class NoOperations:
    """OperationsPort where nobody answers."""

    async def ask(self, what: str, arguments: Mapping[str, str]) -> bytes:
        raise OperationRefused(f"nobody answers {what} here")

    async def order(self, what: str, arguments: Mapping[str, str], origin: Origin) -> bytes:
        raise OperationRefused(f"nobody obeys {what} here")
