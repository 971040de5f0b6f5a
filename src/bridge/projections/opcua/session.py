"""Sessions that a stranger cannot take over, and subscriptions that only their own session touches."""

import secrets
from collections.abc import Callable
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.internal_session import InternalSession

from bridge.projections.opcua.commands import Commands
from bridge.projections.opcua.conditions import ACKNOWLEDGE, CONFIRM, REFRESH, REFRESH_2, Conditions
from bridge.projections.opcua.history import Histories, Reading
from bridge.projections.opcua.plan import NAMESPACE_INDEX
from bridge.projections.opcua.rests import Rests
from bridge.projections.opcua.subscription import Subscription

# OPC 10000-4, 5.7.2.1: the token must not be guessable.
_TOKEN_BYTES = 32


class Session(InternalSession):
    """What the library keeps of a session, with a token that is no counter and its own subscriptions."""

    # the channel's certificate when the session was created: only its owner may bring the session to another channel
    certificate: bytes | None = None
    # the channel that has it; without one it lives until its time-out, or until its place is wanted
    channel: object | None = None
    # given by the server that makes the session
    commands: Commands
    histories: Histories
    conditions: Conditions

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        # what BrowseNext asks for: references of a node are shared, so that one is small
        self._rests = Rests[tuple[list[ua.ReferenceDescription], int]]()
        self._readings = Rests[Reading]()
        if self.external:
            self.iserver.unregister_external_session(self)
            self.auth_token = ua.NodeId(secrets.token_bytes(_TOKEN_BYTES), 0)
            self.iserver.register_external_session(self)

    def activate_session(
        self, params: ua.ActivateSessionParameters, peer_certificate: bytes | None
    ) -> ua.ActivateSessionResult:
        """The channel's certificate names a program, not a user: only a user's own token is shown to `get_user`."""
        del peer_certificate
        return super().activate_session(params, None)

    async def browse(self, params: ua.BrowseParameters) -> list[ua.BrowseResult]:
        """As the library's, but no more references at a time than the client wants."""
        results: list[ua.BrowseResult] = await super().browse(params)
        most = int(params.RequestedMaxReferencesPerNode)
        for result in results if self.external and most else ():
            self._cut(result, result.References, most)
        return results

    async def browse_next(self, parameters: ua.BrowseNextParameters) -> list[ua.BrowseResult]:
        results: list[ua.BrowseResult] = []
        for point in parameters.ContinuationPoints or ():
            result, kept = ua.BrowseResult(), self._rests.take(bytes(point or b""))
            if kept is None:
                result.StatusCode = ua.StatusCode(ua.StatusCodes.BadContinuationPointInvalid)
            elif not parameters.ReleaseContinuationPoints:
                self._cut(result, *kept)
            results.append(result)
        return results

    def _cut(self, result: ua.BrowseResult, references: list[ua.ReferenceDescription], most: int) -> None:
        """Give the first `most`, and keep the rest under a name that only this session knows."""
        result.References = references[:most]
        if len(references) > most:
            result.ContinuationPoint = self._rests.put((references[most:], most))

    def owns(self, subscription_id: int) -> bool:
        subscription = self.subscription_service.subscriptions.get(subscription_id)
        return subscription is not None and (not self.external or subscription.session_id == self.session_id)

    @property
    def peer(self) -> str:
        """Address of the client; the library gives a session the name of its socket."""
        return str(self.name[0]) if isinstance(self.name, tuple) else ""

    async def write(self, params: ua.WriteParameters) -> list[ua.StatusCode]:
        if not self.external:
            return await super().write(params)
        return [await self.commands.write(wanted, self.user, self.peer) for wanted in params.NodesToWrite or ()]

    async def call(self, params: list[ua.CallMethodRequest]) -> list[ua.CallMethodResult]:
        results: list[ua.CallMethodResult] = []
        for method in params:
            number = method.MethodId.Identifier if not method.MethodId.NamespaceIndex else None
            if method.MethodId.NamespaceIndex == NAMESPACE_INDEX:
                results.append(await self.commands.call(method, self.user, self.peer))
            elif number in (REFRESH, REFRESH_2):
                results.append(ua.CallMethodResult(StatusCode=ua.StatusCode(self._refresh(method))))
            elif number in (ACKNOWLEDGE, CONFIRM):
                results.append(await self.conditions.call(method, self.user, self.peer))
            else:
                results += await super().call([method])
        return results

    def _refresh(self, method: ua.CallMethodRequest) -> int:
        """ConditionRefresh of a whole subscription or, the second one, of one item (OPC 10000-9, 5.5.7, 5.5.8)."""
        arguments = [one.Value for one in method.InputArguments or () if one.VariantType is ua.VariantType.UInt32]
        if len(arguments) != (2 if method.MethodId.Identifier == REFRESH_2 else 1):
            return ua.StatusCodes.BadInvalidArgument
        subscription = self.subscription_service.subscriptions.get(arguments[0])
        if not isinstance(subscription, Subscription) or not self.owns(arguments[0]):
            return ua.StatusCodes.BadSubscriptionIdInvalid
        items = subscription.items.events
        if len(arguments) == 1:
            return self.conditions.refresh(list(items.values()))
        one = items.get(arguments[1])
        return ua.StatusCodes.BadMonitoredItemIdInvalid if one is None else self.conditions.refresh([one])

    async def history_read(self, params: ua.HistoryReadParameters) -> list[ua.HistoryReadResult]:
        """Raises: ServiceError."""
        return await self.histories.read(params, self._readings)

    async def create_monitored_items(
        self, params: ua.CreateMonitoredItemsParameters
    ) -> list[ua.MonitoredItemCreateResult]:
        self._must_own(params.SubscriptionId)
        return await super().create_monitored_items(params)

    async def modify_monitored_items(
        self, params: ua.ModifyMonitoredItemsParameters
    ) -> list[ua.MonitoredItemModifyResult]:
        self._must_own(params.SubscriptionId)
        return await super().modify_monitored_items(params)

    async def delete_monitored_items(self, params: ua.DeleteMonitoredItemsParameters) -> list[ua.StatusCode]:
        self._must_own(params.SubscriptionId)
        return await super().delete_monitored_items(params)

    async def set_monitoring_mode(self, params: ua.SetMonitoringModeParameters) -> list[ua.StatusCode]:
        self._must_own(params.SubscriptionId)
        return await super().set_monitoring_mode(params)

    def republish(self, params: ua.RepublishParameters) -> ua.NotificationMessage:
        self._must_own(params.SubscriptionId)
        return super().republish(params)

    def modify_subscription(self, params: ua.ModifySubscriptionParameters) -> ua.ModifySubscriptionResult:
        self._must_own(params.SubscriptionId)
        return super().modify_subscription(params)

    async def set_publishing_mode(self, params: ua.SetPublishingModeParameters) -> list[ua.StatusCode]:
        return await self._each(params.SubscriptionIds, lambda own: self._set_publishing(params, own))

    async def delete_subscriptions(self, ids: list[int]) -> list[ua.StatusCode]:
        return await self._each(ids, super().delete_subscriptions)

    async def transfer_subscriptions(
        self, params: ua.TransferSubscriptionsParameters, callback: Callable[..., Any]
    ) -> list[ua.TransferResult]:
        results: list[ua.TransferResult] = []
        for number in params.SubscriptionIds or ():
            if self._may_take(int(number)):
                one = ua.TransferSubscriptionsParameters([number], params.SendInitialValues)
                results += await super().transfer_subscriptions(one, callback)
            else:
                refused = ua.StatusCode(ua.StatusCodes.BadUserAccessDenied)
                results.append(ua.TransferResult(StatusCode=refused))
        return results

    def _may_take(self, number: int) -> bool:
        """The same user, and the same program where it has a certificate (OPC 10000-4, 5.14.7.1)."""
        subscription = self.subscription_service.subscriptions.get(number)
        if subscription is None:
            # the library says what it is
            return True
        sessions = self.iserver._external_sessions.values()
        owner = next((one for one in sessions if one.session_id == subscription.session_id), None)
        return owner is None or (owner.user.name, owner.certificate) == (self.user.name, self.certificate)

    async def _set_publishing(self, params: ua.SetPublishingModeParameters, own: list[int]) -> list[ua.StatusCode]:
        params.SubscriptionIds = own
        return await super().set_publishing_mode(params)

    async def _each(self, ids: list[int], do: Callable[[list[int]], Any]) -> list[ua.StatusCode]:
        """Do it for our own, and refuse the others in their places."""
        own = [number for number in ids if self.owns(number)]
        done = iter(await do(own))
        refused = ua.StatusCode(ua.StatusCodes.BadSubscriptionIdInvalid)
        return [next(done) if number in own else refused for number in ids]

    def _must_own(self, subscription_id: int) -> None:
        if not self.owns(subscription_id):
            raise ServiceError(ua.StatusCodes.BadSubscriptionIdInvalid)
