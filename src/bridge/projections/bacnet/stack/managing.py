"""DeviceCommunicationControl, ReinitializeDevice and TimeSynchronization, each refused or ignored unless configured."""

import asyncio
import hmac
import logging
from typing import Any

from bacpypes3.apdu import SimpleAckPDU
from bacpypes3.errors import ExecutionError

from bridge.projections.bacnet.commands import Commands

_log = logging.getLogger("bridge.bacnet")
# Seconds in which the acknowledgement leaves before the worker starts anew.
_LEAVE_S = 0.3
# The library's word by that of the request.
_STATES = {"enable": "enable", "disable": "disable", "disable-initiation": "disableInitiation"}


class Management:
    """Part of DeviceApplication."""

    password = ""
    asap: Any
    engine: Any
    counters: dict[str, int]
    commands: Commands
    response: Any
    # Set when a client with the password wants the worker started anew.
    restart: asyncio.Event
    _enabling: asyncio.TimerHandle | None = None

    def _permit(self, apdu: Any, what: str) -> None:
        given = str(apdu.password or "").encode()
        if self.password and hmac.compare_digest(given, self.password.encode()):
            _log.warning("%s peer=%s", what, apdu.pduSource)
            return
        self.counters["management_refused"] += 1
        self.commands.refused(str(apdu.pduSource), what, "password")
        _log.warning("%s_refused peer=%s count=%d", what, apdu.pduSource, self.counters["management_refused"])
        raise ExecutionError("security", "passwordFailure")

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
