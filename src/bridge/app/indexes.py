"""Point indexes that no reload ever moves: an index belongs to an id for the life of the core process."""

from dataclasses import replace

import msgspec

from bridge.config.model import FieldDevice, SiteConfig
from bridge.core.point import PointDef


class Indexes:
    """Gives every point id its index, the old one whenever it had one."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def settle(self, config: SiteConfig) -> SiteConfig:
        """Return `config` with the indexes this process has given, or gives now, to its points."""
        return replace(config, field=tuple(self._device(device) for device in config.field))

    def of(self, point_id: str) -> int:
        """Return the index of a point, a new one for a new id."""
        return self._used.setdefault(point_id, len(self._used))

    def _device(self, device: FieldDevice) -> FieldDevice:
        points = tuple(replace(p, definition=self._definition(p.definition)) for p in device.points)
        return replace(device, points=points)

    def _definition(self, definition: PointDef) -> PointDef:
        return msgspec.structs.replace(definition, index=self.of(definition.id))
