"""DeviceCommunicationControl, ReinitializeDevice and TimeSynchronization, each refused or ignored unless configured."""

import asyncio
import hmac
import logging
from typing import Any

from bacpypes3.apdu import SimpleAckPDU
from bacpypes3.errors import ExecutionError

_log = logging.getLogger("bridge.bacnet")
# Seconds in which the acknowledgement leaves before the worker starts anew.
_LEAVE_S = 0.3
# Wrong passwords in a row after which none is looked at, and the seconds that lasts. For all peers together: the
# sender of a datagram can be made up.
_TRIES, _LOCK_S = 8, 600.0
# The library's word by that of the request.
_STATES = {"enable": "enable", "disable": "disable", "disable-initiation": "disableInitiation"}


class Management:
    """Part of DeviceApplication."""

    password = ""
    asap: Any
    engine: Any
    counters: dict[str, int]
    response: Any
    # Set when a client with the password wants the worker started anew.
    restart: asyncio.Event
    _enabling: asyncio.TimerHandle | None = None
    _wrong = 0
    _locked_until = 0.0
    refuse: Any

    def _permit(self, apdu: Any, what: str) -> None:
        """Raises: ExecutionError for a wrong password, and after eight of them for any (BARS S3)."""
        given, now = str(apdu.password or "").encode(), asyncio.get_running_loop().time()
        if now >= self._locked_until and self.password and hmac.compare_digest(given, self.password.encode()):
            self._wrong = 0
            _log.warning("%s peer=%s", what, apdu.pduSource)
            return
        self._wrong += 1
        if self._wrong >= _TRIES:
            self._wrong, self._locked_until = 0, now + _LOCK_S
        self.counters["management_refused"] += 1
        self.refuse(apdu.pduSource, what, "passwordFailure")
        raise ExecutionError("security", "passwordFailure")

    def is_silent(self) -> bool:
        """Whether not even an answer may be given."""
        return bool(self.asap.dccEnableDisable == "disable")

    def may_speak(self) -> bool:
        """Whether something may be said unasked."""
        return bool(self.asap.dccEnableDisable == "enable")

    async def do_DeviceCommunicationControlRequest(self, apdu: Any) -> None:
        """Stop or resume talking (clause 16.1)."""
        self._permit(apdu, "communication_control")
        await self.response(SimpleAckPDU(context=apdu))
        self._communicate(_STATES[str(apdu.enableDisable)])
        if apdu.timeDuration:
            loop = asyncio.get_running_loop()
            self._enabling = loop.call_later(int(apdu.timeDuration) * 60, self._communicate, "enable")

    def _communicate(self, state: str) -> None:
        if self._enabling is not None:
            self._enabling.cancel()
            self._enabling = None
        self.asap.dccEnableDisable = state
        if state == "enable":
            self.engine.resume()

    async def do_ReinitializeDeviceRequest(self, apdu: Any) -> None:
        """Start the worker anew on coldstart and warmstart (clause 16.4)."""
        self._permit(apdu, "reinitialize")
        if str(apdu.reinitializedStateOfDevice) not in ("coldstart", "warmstart"):
            raise ExecutionError("services", "optionalFunctionalityNotSupported")
        await self.response(SimpleAckPDU(context=apdu))
        asyncio.get_running_loop().call_later(_LEAVE_S, self.restart.set)

    async def do_TimeSynchronizationRequest(self, apdu: Any) -> None:
        """Count it: the clock belongs to the machine, never to a stranger on the network."""
        self.counters["time_messages"] += 1

    async def do_UTCTimeSynchronizationRequest(self, apdu: Any) -> None:
        """As TimeSynchronization."""
        self.counters["time_messages"] += 1
