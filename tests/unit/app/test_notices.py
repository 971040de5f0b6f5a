"""What servers say of themselves becomes events, and an alarm while one is closed."""

from bridge.app.notices import ServerNotices
from bridge.core.event import EventKind
from bridge.core.store import PointStore
from bridge.services.alarm_rules import SERVER_CLOSED, SYSTEM
from bridge.services.alarms import AlarmService
from bridge.services.events import EventLog
from tests.support.clock import ManualClock


class Bench:
    def __init__(self) -> None:
        clock = ManualClock()
        self.events = EventLog(clock)
        self.alarms = AlarmService(PointStore([], []), clock, self.events)
        self.alarms.redefine(SYSTEM)
        self.notices = ServerNotices(self.events, self.alarms)

    @property
    def closed(self) -> bool:
        return any(alarm.active for alarm in self.alarms.alarms() if alarm.name == SERVER_CLOSED)


def test_a_closed_port_is_an_event_with_its_reason_and_an_alarm_until_it_opens() -> None:  # I-03
    bench = Bench()

    bench.notices.noticed("iec61850", "port closed: found 2", True)
    assert bench.closed
    bench.notices.noticed("iec61850", "serving GW1.cid", False)
    assert not bench.closed

    told = [(e.kind, e.priority, e.text) for e in bench.events.events() if e.kind is EventKind.CONFIGURATION]
    assert told == [
        (EventKind.CONFIGURATION, 160, "iec61850: port closed: found 2"),
        (EventKind.CONFIGURATION, 32, "iec61850: serving GW1.cid"),
    ]


def test_the_alarm_ends_only_when_no_server_is_closed_or_wanted() -> None:
    bench = Bench()
    for server in ("iec61850", "dnp3"):
        bench.notices.noticed(server, "port closed", True)

    bench.notices.noticed("dnp3", "serving", False)
    assert bench.closed
    bench.notices.servers(["dnp3", "modbus"])

    assert not bench.closed
