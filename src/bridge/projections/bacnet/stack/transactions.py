"""
Segmented replies and refusals as clause 5.4.5 has them, by subclassing two classes of bacpypes3's application layer.

Corrects: payload is max-APDU minus the 5-octet header; a lost first SegmentACK resends; a negative or short SegmentACK
near the end resends the rest; sequence numbers wrap at 256; a request that cannot be decoded is rejected and its invoke
id freed at once; requests under way are bounded; the hook `reader` answers reads from the model before they are
decoded.
"""

from collections.abc import Callable
from typing import Any

from bacpypes3.apdu import (
    AbortPDU,
    AbortReason,
    APCISequence,
    ComplexAckPDU,
    ConfirmedRequestPDU,
    ErrorPDU,
    RejectPDU,
    RejectReason,
    SegmentAckPDU,
)
from bacpypes3.appservice import (
    AWAIT_RESPONSE,
    COMPLETED,
    IDLE,
    SEGMENTED_RESPONSE,
    ApplicationServiceAccessPoint,
    ServerSSM,
)
from bacpypes3.basetypes import Segmentation
from bacpypes3.errors import RejectException

from bridge.projections.bacnet.reads import COMPLEX_ACK, Answer

# Requests being served at once; one more gets an Abort. Most are answered before the next comes.
TRANSACTIONS_MOST = 128
# Segments of a reply to a client that does not say how many it takes.
SEGMENTS_MOST = 64
# ComplexACK header: type, invoke id, service; segmented adds sequence number and window.
HEADER, SEGMENT_HEADER = 3, 5

# Confirmed services that would change something in the device, of those it does not know (clause 21).
CHANGING = {
    7: "AtomicWriteFile",
    8: "AddListElement",
    9: "RemoveListElement",
    10: "CreateObject",
    11: "DeleteObject",
    18: "ConfirmedPrivateTransfer",
    27: "LifeSafetyOperation",
}
_TRANSMITTING = (Segmentation.segmentedTransmit, Segmentation.segmentedBoth)

Reader = Callable[[int, bytes], Answer | None]
Acknowledged = Callable[[object, int, int], bool]


def segment_plan(size: int, apdu_limit: int) -> tuple[int, int]:
    """Return (payload per segment, count) for `size` octets of service data."""
    if size + HEADER <= apdu_limit:
        return max(size, 1), 1
    payload = apdu_limit - SEGMENT_HEADER
    return payload, -(-size // payload)


class ReplyTransaction(ServerSSM):
    """One confirmed request being served."""

    acknowledged_through: int = -1
    sent_through: int = -1

    async def request(self, apdu: Any) -> None:
        """Pass a complete request up: to the model's reader first, then decoded to the application."""
        if isinstance(apdu, AbortPDU):
            await super().request(apdu)
            return
        reader = self.ssmSAP.reader
        if reader is not None:
            answer = reader(apdu.apduService, bytes(apdu.pduData))
            if answer is not None:
                await self.confirmation(_reply(answer, apdu))
                return
        try:
            if apdu.apduService not in self.ssmSAP.executed:
                raise _Unrecognized
            decoded = APCISequence.decode(apdu)
        except _Unrecognized:
            if apdu.apduService in CHANGING and self.ssmSAP.refused is not None:
                self.ssmSAP.refused(self.pdu_address, CHANGING[apdu.apduService], "unrecognizedService")
            await self._reject(RejectReason.unrecognizedService)
            return
        except RejectException as exc:
            await self._reject(RejectReason(exc.rejectReason or "other"))
            return
        except Exception:  # noqa: BLE001 - whatever the decoder trips over, the client sent it
            await self._reject(RejectReason.invalidTag)
            return
        decoded.pduSource, decoded.pduDestination = self.pdu_address, None
        await self.ssmSAP.sap_request(decoded)

    async def _reject(self, reason: int) -> None:
        self.set_state(COMPLETED)
        await self.response(RejectPDU(self.invokeID, reason))

    async def confirmation(self, apdu: Any) -> None:
        """Send the application's reply, in segments when it must be."""
        if apdu.apduType != ComplexAckPDU.pduType or self.state != AWAIT_RESPONSE:
            await super().confirmation(apdu)
            return
        limit = self.maxApduLengthAccepted
        if self.device_info and self.device_info.max_npdu_length is not None:
            limit = min(limit, self.device_info.max_npdu_length)
        self.set_segmentation_context(apdu)
        self.segmentSize, self.segmentCount = segment_plan(len(apdu.pduData), limit)
        if self.segmentCount == 1:
            apdu.apduSeg = apdu.apduMor = False
            await self.response(apdu)
            self.set_state(COMPLETED)
            return
        if not self.segmented_response_accepted or self.segmentationSupported not in _TRANSMITTING:
            await self.response(self.abort(AbortReason.segmentationNotSupported))
            return
        if self.maxSegmentsAccepted is not None and self.segmentCount > self.maxSegmentsAccepted:
            await self.response(self.abort(AbortReason.bufferOverflow))
            return
        self.segmentRetryCount, self.actualWindowSize = 0, 1
        self.set_state(SEGMENTED_RESPONSE, self.segmentTimeout)
        await self._send_window()

    async def segmented_response(self, apdu: Any) -> None:
        """Advance on a SegmentACK; positions are absolute, the wire carries them modulo 256."""
        if isinstance(apdu, SegmentAckPDU):
            ahead = (apdu.apduSeq - self.acknowledged_through) % 256
            if ahead > self.sent_through - self.acknowledged_through or (ahead == 0 and not apdu.apduNak):
                self.restart_timer(self.segmentTimeout)
                return
            self.acknowledged_through += ahead
            self.actualWindowSize = max(1, min(apdu.apduWin, 127))
            self.segmentRetryCount = 0
            if self.acknowledged_through == self.segmentCount - 1:
                self.set_state(COMPLETED)
                return
            self.restart_timer(self.segmentTimeout)
            await self._send_window()
        elif isinstance(apdu, AbortPDU):
            self.set_state(COMPLETED)
        elif not isinstance(apdu, ConfirmedRequestPDU):
            # a repeated request is already being answered
            await super().segmented_response(apdu)

    async def segmented_response_timeout(self) -> None:
        if self.segmentRetryCount >= self.numberOfApduRetries:
            self.set_state(COMPLETED)
            return
        self.segmentRetryCount += 1
        self.start_timer(self.segmentTimeout)
        await self._send_window()

    async def _send_window(self) -> None:
        first = self.acknowledged_through + 1
        last = min(first + self.actualWindowSize, self.segmentCount)
        for position in range(first, last):
            self.sent_through = max(self.sent_through, position)
            await self.ssmSAP.request(self.get_segment(position))

    async def await_response_timeout(self) -> None:
        """Tell the client; the stock class tells the application."""
        await self.response(self.abort(AbortReason.applicationExceededReplyTime))


class _Unrecognized(Exception):
    """The service is none that the device executes."""


def _reply(answer: Answer, request: Any) -> Any:
    kind, body = answer
    made = ComplexAckPDU if kind == COMPLEX_ACK else ErrorPDU
    pdu = made(request.apduService, request.apduInvokeID)
    pdu.put_data(body)
    return pdu


class ServicePoint(ApplicationServiceAccessPoint):
    """Application layer of one device with `ReplyTransaction` in place of ServerSSM."""

    reader: Reader | None = None
    # Confirmed service choices the application has a handler for.
    executed: frozenset[int] = frozenset()
    # Told of every request for a service of CHANGING: peer, service, reason.
    refused: Callable[[object, str, str], None] | None = None
    acknowledged: Acknowledged | None = None

    def room_for(self, apdu: Any) -> int:
        """Return how many octets the client of a request under way takes in reply."""
        for transaction in self.serverTransactions:
            if transaction.invokeID == apdu.apduInvokeID and transaction.pdu_address == apdu.pduSource:
                limit = int(transaction.maxApduLengthAccepted)
                if not transaction.segmented_response_accepted:
                    return limit - HEADER
                return (limit - SEGMENT_HEADER) * (transaction.maxSegmentsAccepted or SEGMENTS_MOST)
        return 0

    async def confirmation(self, pdu: Any) -> None:
        """Put our transaction where the stock method will find it; refuse what has no valid header."""
        data = pdu.pduData
        kind = data[0] >> 4 if data else 15
        acknowledged = self.acknowledged
        may_be_ours = kind in (2, 5, 6, 7) and len(data) > 2
        if may_be_ours and acknowledged is not None and acknowledged(pdu.pduSource, kind, data[1]):
            return
        # While communication is disabled the stock method reads these two of the undecoded PDU, which has neither.
        at = 1 if kind == 1 else 3 if kind == 0 else len(data)
        pdu.apduType, pdu.apduService = kind, data[at] if len(data) > at else None
        if kind != 0:
            if kind < 8 and len(data) >= 2:
                await super().confirmation(pdu)
            return
        if len(data) < (6 if data[0] & 8 else 4) or data[1] & 15 > 5:
            return
        invoke_id, source = data[2], pdu.pduSource
        for transaction in self.serverTransactions:
            if transaction.invokeID == invoke_id and transaction.pdu_address == source:
                break
        else:
            if len(self.serverTransactions) >= TRANSACTIONS_MOST:
                await self.request(AbortPDU(True, invoke_id, AbortReason.outOfResources, destination=source))
                return
            transaction = ReplyTransaction(self, source)
            transaction.invokeID = invoke_id
            self.serverTransactions.append(transaction)
        await super().confirmation(pdu)
        if transaction.state == IDLE:
            # dropped by DeviceCommunicationControl
            self.serverTransactions.remove(transaction)
