"""
Who a device is, and was: a firmware, checksum, model or serial number that changes is an event, and an alarm that
stays in the list until somebody acknowledges it.

What a device said last outlives a restart, so that an exchange while the bridge was down is told too.
"""

from collections.abc import Callable, Iterable, Mapping

from bridge.config.alarm_preset import IDENTITY_CHANGED
from bridge.config.model import FieldDevice
from bridge.core.event import EventKind
from bridge.core.point import Batch, DeviceDef, PointDef, Role
from bridge.core.quality import UNUSABLE
from bridge.core.store import PointStore
from bridge.services.alarms import AlarmService
from bridge.services.events import EventLog

# a change of who measures is worth as much as a reset of an index
_PRIORITY = 192
Keep = Callable[[str, str], None]


class IdentityWatch:
    """
    Loop thread only. `keep` is told what is known of a device (its id: the meter file and model) or of a point (its id:
    the value as text).
    """

    def __init__(self, store: PointStore, events: EventLog, alarms: AlarmService, keep: Keep) -> None:
        self._store, self._events, self._alarms, self._keep = store, events, alarms, keep
        self._known: dict[str, str] = {}
        self._devices: tuple[DeviceDef, ...] = ()
        self._points: dict[int, PointDef] = {}
        self._cancel: Callable[[], None] = lambda: None

    def restore(self, kept: Mapping[str, str]) -> None:
        """Take what an earlier process kept."""
        self._known = dict(kept)

    def redefine(self, devices: Iterable[FieldDevice]) -> None:
        """Take the devices of a configuration."""
        devices = list(devices)
        self._devices = tuple(device.definition for device in devices)
        self._points = {
            point.definition.index: point.definition
            for device in devices
            for point in device.points
            if point.definition.role is Role.IDENTITY and point.read is not None
        }
        self._cancel()
        self._cancel = self._store.subscribe(list(self._points), self._heard)

    def compare(self) -> None:
        """Tell which devices the configuration says are another meter than before; call once it is in force."""
        for device in self._devices:
            self._told(device.id, device.id, "meter", model_of(device))

    def _heard(self, batch: Batch) -> None:
        for index, sample in batch:
            if sample.quality & UNUSABLE or sample.value in (None, ""):
                continue
            definition = self._points[index]
            self._told(definition.id, definition.device, definition.label or definition.name, str(sample.value))

    def _told(self, id_: str, device: str, what: str, value: str) -> None:
        before = self._known.get(id_)
        if before == value:
            return
        self._known[id_] = value
        self._keep(id_, value)
        if before is None:
            return
        text = f"{device}: {what} was {before}, is {value}"
        self._events.record(EventKind.CONFIGURATION, _PRIORITY, text, device=device)
        # over at once, and in the list until it is acknowledged
        self._alarms.say(IDENTITY_CHANGED, device, True)
        self._alarms.say(IDENTITY_CHANGED, device, False)


def model_of(device: DeviceDef) -> str:
    """Return meter file and model in one text."""
    return f"{device.meter} {device.model}".strip()


def exchanged(before: Iterable[DeviceDef], after: Iterable[DeviceDef]) -> list[str]:
    """Return in words which devices of one configuration are another meter in the next."""
    known = {device.id: model_of(device) for device in before}
    return [
        f"{device.id} was {known[device.id]}, becomes {model_of(device)}"
        for device in after
        if known.get(device.id, model_of(device)) != model_of(device)
    ]
