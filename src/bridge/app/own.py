"""What the bridge knows by itself: the services of the core process, put together and reloaded together."""

import asyncio
import logging
from collections.abc import Sequence

from bridge.config.model import SiteConfig
from bridge.core.clock import Clock
from bridge.core.point import PointDef, Role
from bridge.core.quantity import Quantity
from bridge.core.store import PointStore
from bridge.services.communication import Communication, status_points
from bridge.services.demand_points import demands_of, settings_of
from bridge.services.demand_service import DemandService
from bridge.services.derived import Derived, rules_of
from bridge.services.own_commands import OwnCommands, own_commands
from bridge.services.settings import Settings, settings_in

log = logging.getLogger("bridge.app")


class OwnServices:
    """Loop thread only. `apply` after every change of the store's definitions."""

    def __init__(self, store: PointStore, clock: Clock) -> None:
        self.communication = Communication(store, clock)
        self.derived = Derived(store)
        self.demand = DemandService(store, clock)
        self.settings = Settings(store, clock, self._setting_changed)
        self.commands = OwnCommands(store, clock, self.settings, self.demand)

    def apply(self, config: SiteConfig) -> None:
        """Take over a configuration; what means the same goes on."""
        self.communication.redefine(status_points(config.field))
        self.derived.redefine(rules_of(config))
        demand = config.services.demand
        self.demand.redefine(
            [(points, settings_of(demand, d.definition.id)) for d in config.field for points in demands_of(d)]
        )
        self.settings.redefine(settings_in(config))
        self.commands.redefine(own_commands(config))
        for point_id in unknown_points(config):
            log.warning("services point=%s has no register, and nothing to compute it from", point_id)

    async def run(self) -> None:
        """Do what must be done in time, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.demand.run(), name="demand")

    def _setting_changed(self, definition: PointDef, value: float) -> None:
        if definition.meaning.quantity is Quantity.DEMAND_INTERVAL:
            self.demand.set_interval(definition.device, int(value))


def unknown_points(config: SiteConfig) -> Sequence[str]:
    """Return the points without a register that nothing computes and nobody keeps."""
    known = {rule.output for rule in rules_of(config)}
    known |= set(status_points(config.field).values())
    known |= {setting.definition.index for setting in settings_in(config)}
    for device in config.field:
        for points in demands_of(device):
            known |= {index for index, _ in points.values.values()}
    own = [point for device in config.field for point in device.points if point.read is None]
    return [p.definition.id for p in own if p.definition.index not in known and p.definition.role is not Role.COMMAND]
