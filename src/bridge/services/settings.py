"""Settings that the bridge keeps for a meter that has none: demand interval and thresholds (P-06)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bridge.config.model import FieldDevice, SiteConfig
from bridge.core.clock import Clock
from bridge.core.point import Batch, PointDef, Sample, Value
from bridge.core.quality import Quality
from bridge.core.quantity import Quantity
from bridge.core.store import PointStore
from bridge.services.demand_points import settings_of
from bridge.services.states import thresholds_of

Q = Quantity


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a device. `default`: what the site file says."""

    definition: PointDef
    default: float


def settings_in(config: SiteConfig) -> list[Setting]:
    """Return every setting that the bridge keeps."""
    return [setting for device in config.field for setting in _of_device(config, device)]


def _of_device(config: SiteConfig, device: FieldDevice) -> list[Setting]:
    name = device.definition.id
    limits = thresholds_of(config.services.states, name)
    defaults: Mapping[Quantity, float] = {
        Q.DEMAND_INTERVAL: settings_of(config.services.demand, name).interval_min,
        Q.OVERLOAD_THRESHOLD: limits.overload,
        Q.VOLTAGE_UNBALANCE_THRESHOLD: limits.voltage_unbalance,
        Q.CURRENT_UNBALANCE_THRESHOLD: limits.current_unbalance,
    }
    return [
        Setting(point.definition, float(defaults[point.definition.meaning.quantity]))
        for point in device.points
        if point.read is None and point.definition.meaning.quantity in defaults
    ]


Changed = Callable[[PointDef, float], None]


class Settings:
    """Loop thread only. A setting holds the site's value until somebody writes another; that one outlives restarts."""

    def __init__(self, store: PointStore, clock: Clock, changed: Changed = lambda definition, value: None) -> None:
        self._store, self._clock, self._changed = store, clock, changed
        self._settings: dict[int, Setting] = {}
        self._written: dict[str, float] = {}
        self._seq = 0

    def redefine(self, settings: Sequence[Setting]) -> None:
        """Take the settings of a configuration; what was written stays."""
        self._settings = {setting.definition.index: setting for setting in settings}
        self._show(self._settings)

    def written(self) -> Mapping[str, float]:
        """Return what was written, by point id: to be kept over a restart."""
        return dict(self._written)

    def restore(self, written: Mapping[str, float]) -> None:
        """Take what an earlier process kept."""
        self._written = dict(written)
        self._show(self._settings)

    def points(self) -> list[int]:
        """Return the indexes of all of these."""
        return list(self._settings)

    def owns(self, index: int) -> bool:
        """Tell whether a point is one of these."""
        return index in self._settings

    def value(self, index: int) -> float:
        """Return what is in force. Raises: KeyError."""
        setting = self._settings[index]
        return self._written.get(setting.definition.id, setting.default)

    def write(self, index: int, value: Value) -> bool:
        """Take another value; False when it is none that the setting may have."""
        definition = self._settings[index].definition
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        low, high = definition.low, definition.high
        if not (low is None or low <= value) or not (high is None or value <= high):
            return False
        if definition.meaning.quantity is Q.DEMAND_INTERVAL and value != int(value):
            return False
        self._written[definition.id] = float(value)
        self._show([index])
        return True

    def _show(self, indexes: Mapping[int, Setting] | Sequence[int]) -> None:
        batch: Batch = []
        for index in indexes:
            value = self.value(index)
            self._seq += 1
            batch.append((index, Sample(value, Quality.GOOD, self._clock.utc_ns(), self._seq)))
        if batch:
            self._store.publish(batch)
        for index in indexes:
            self._changed(self._settings[index].definition, self.value(index))
