"""The active alarms and the last historic ones, acknowledged or not (A-05). Pure."""

from collections.abc import Iterable

import msgspec

from bridge.core.alarm import Alarm

# Historic alarms kept; the event log has the rest
HISTORIC = 1000


class AlarmList:
    """Every change returns the alarm as it then is."""

    def __init__(self, historic: int = HISTORIC) -> None:
        self._alarms: dict[int, Alarm] = {}
        self._historic = historic

    def all(self) -> list[Alarm]:
        """Return every alarm that is kept, oldest first."""
        return [self._alarms[id_] for id_ in sorted(self._alarms)]

    def get(self, id_: int) -> Alarm | None:
        """Return an alarm that is kept."""
        return self._alarms.get(id_)

    def restore(self, alarms: Iterable[Alarm]) -> None:
        """Take what an earlier process kept, beside what this one has found already."""
        self._alarms = {alarm.id: alarm for alarm in alarms} | self._alarms
        self._trim()

    def begin(self, alarm: Alarm) -> Alarm:
        """Take a new active alarm."""
        self._alarms[alarm.id] = alarm
        return alarm

    def end(self, id_: int, utc_ns: int, duration_ns: int, before: float | None, extreme: float | None) -> Alarm:
        """Make an active alarm a historic one. Raises: KeyError."""
        # a clock that was stepped back must not make it active for ever
        ended = msgspec.structs.replace(
            self._alarms[id_], end_ns=max(utc_ns, 1), duration_ns=duration_ns, before=before, extreme=extreme
        )
        self._alarms[id_] = ended
        self._trim()
        return ended

    def acknowledge(self, id_: int, user: str, utc_ns: int) -> Alarm | None:
        """Note who has seen an alarm, the first who did; None for one that is not kept."""
        alarm = self._alarms.get(id_)
        if alarm is None or alarm.acknowledged:
            return alarm
        self._alarms[id_] = seen = msgspec.structs.replace(alarm, acknowledged_ns=max(utc_ns, 1), acknowledged_by=user)
        return seen

    def confirm(self, id_: int, user: str, utc_ns: int) -> Alarm | None:
        """Note who has dealt with an alarm, the first who did; None for one not kept or not acknowledged."""
        alarm = self._alarms.get(id_)
        if alarm is None or not alarm.acknowledged:
            return None
        if not alarm.confirmed:
            alarm = msgspec.structs.replace(alarm, confirmed_ns=max(utc_ns, 1), confirmed_by=user)
            self._alarms[id_] = alarm
        return alarm

    def _trim(self) -> None:
        ended = [alarm for alarm in self._alarms.values() if not alarm.active]
        for alarm in sorted(ended, key=lambda one: one.id)[: max(len(ended) - self._historic, 0)]:
            del self._alarms[alarm.id]
