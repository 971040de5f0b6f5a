"""The secondary station of the link: answers to reset, test, status and confirmed data (IEEE 1815-2012, clause 9)."""

from bridge.projections.dnp3.link import (
    DIRECTION,
    FCB,
    FCV,
    PRIMARY,
    LinkFrame,
    Primary,
    Secondary,
    encode_frame,
    encode_segment,
)

# Seen from the outstation: direction bit clear, primary, unconfirmed user data.
SEND_DATA = PRIMARY | Primary.UNCONFIRMED_USER_DATA
ASK_STATUS = PRIMARY | Primary.REQUEST_LINK_STATUS


class LinkStation:
    """One master's link: `take` returns the user data to pass on and the frame to answer with."""

    def __init__(self, local: int, remote: int) -> None:
        self._local = local
        self._remote = remote
        self._reset = False
        self._expected_fcb = FCB
        self._last = Secondary.NACK

    def take(self, frame: LinkFrame) -> tuple[bytes, bytes]:
        control = frame.control
        if not control & DIRECTION or not control & PRIMARY:
            return b"", b""
        function = control & 0x0F
        if function == Primary.UNCONFIRMED_USER_DATA:
            return frame.user, b""
        if function == Primary.REQUEST_LINK_STATUS:
            return b"", self._answer(Secondary.LINK_STATUS)
        if function == Primary.RESET_LINK:
            self._reset, self._expected_fcb = True, FCB
            return b"", self._answer(Secondary.ACK)
        if function not in (Primary.TEST_LINK, Primary.CONFIRMED_USER_DATA):
            return b"", self._answer(Secondary.NOT_SUPPORTED)
        if not control & FCV:
            return b"", b""
        if not self._reset:
            return b"", self._answer(Secondary.NACK)
        if control & FCB != self._expected_fcb:
            # A repeat: our answer was lost.
            return b"", self._answer(self._last)
        self._expected_fcb ^= FCB
        self._last = Secondary.ACK
        data = frame.user if function == Primary.CONFIRMED_USER_DATA else b""
        return data, self._answer(Secondary.ACK)

    def ask_status(self) -> bytes:
        return encode_frame(ASK_STATUS, self._remote, self._local)

    def data(self, segments: list[tuple[int, bytes]]) -> bytes:
        """Return the frames of transport segments: header octet and part of the fragment."""
        local, remote = self._local, self._remote
        return b"".join([encode_segment(SEND_DATA, remote, local, header, part) for header, part in segments])

    def _answer(self, function: Secondary) -> bytes:
        return encode_frame(function, self._remote, self._local)
