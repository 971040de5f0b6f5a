"""A worker's replica of the alarms: to a projection it is the service itself."""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from bridge.core.alarm import Alarm
from bridge.core.command import CommandResult, Origin

# Historic alarms kept, as in the core
HISTORIC = 1000
Changed = Callable[[Alarm], None]
# (alarm, who, deadline)
Ask = Callable[[int, Origin, int], Awaitable[CommandResult]]


class AlarmImage:
    """AlarmPort of a projection in its own process. Loop thread only. The functions carry to the core what is noted."""

    def __init__(self, acknowledge: Ask, confirm: Ask) -> None:
        self._acknowledge, self._confirm = acknowledge, confirm
        self._alarms: dict[int, Alarm] = {}
        self._listeners: dict[int, Changed] = {}
        self._next = 0

    def alarms(self) -> Sequence[Alarm]:
        return [self._alarms[id_] for id_ in sorted(self._alarms)]

    def subscribe(self, deliver: Changed) -> Callable[[], None]:
        key, self._next = self._next, self._next + 1
        self._listeners[key] = deliver

        def cancel() -> None:
            self._listeners.pop(key, None)

        return cancel

    async def acknowledge(self, alarm: int, origin: Origin, deadline_ns: int) -> CommandResult:
        return await self._acknowledge(alarm, origin, deadline_ns)

    async def confirm(self, alarm: int, origin: Origin, deadline_ns: int) -> CommandResult:
        return await self._confirm(alarm, origin, deadline_ns)

    def change(self, alarms: Iterable[Alarm]) -> None:
        """Take newer alarms; tell who listens."""
        for alarm in alarms:
            self._alarms[alarm.id] = alarm
            for deliver in list(self._listeners.values()):
                deliver(alarm)
        ended = sorted(id_ for id_, alarm in self._alarms.items() if not alarm.active)
        for id_ in ended[: max(len(ended) - HISTORIC, 0)]:
            del self._alarms[id_]
