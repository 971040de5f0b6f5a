"""The core's alarms, held by a test."""

from collections.abc import Callable, Sequence

from bridge.core.alarm import Alarm, NoAlarms


class HeldAlarms(NoAlarms):
    """AlarmPort that a test fills; nobody acknowledges."""

    def __init__(self, *alarms: Alarm) -> None:
        self._kept = {alarm.id: alarm for alarm in alarms}
        self._deliver: Callable[[Alarm], None] = lambda alarm: None

    def alarms(self) -> Sequence[Alarm]:
        return list(self._kept.values())

    def subscribe(self, deliver: Callable[[Alarm], None]) -> Callable[[], None]:
        self._deliver = deliver
        return lambda: None

    def put(self, alarm: Alarm) -> None:
        self._kept[alarm.id] = alarm
        self._deliver(alarm)
