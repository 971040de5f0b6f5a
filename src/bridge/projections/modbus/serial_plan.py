"""modbus.yaml `serial` -> plans: which unit ids the bridge answers to on lines of its own."""

from collections.abc import Iterator

from bridge.core.errors import ProjectionError
from bridge.core.ports import SiteFacts
from bridge.core.serial import Serial
from bridge.projections.modbus.layout import LAST_UNIT
from bridge.projections.modbus.plan import SITE_UNIT, SerialPlan
from bridge.projections.modbus.settings import Mapping


def serial_plans(mapping: Mapping, site: SiteFacts, shown: set[int]) -> Iterator[SerialPlan]:
    """`shown`: the unit ids that have anything. Raises: ProjectionError."""
    lines = {facts.serial_port: f"channel {name}" for name, facts in site.channels.items() if facts.serial_port}
    for at, line in enumerate(mapping.serial):
        path = ("serial", at)
        owner = lines.setdefault(line.port, f"serial[{at}]")
        if owner != f"serial[{at}]":
            raise ProjectionError((*path, "port"), f"expected a serial port of its own, {line.port} is that of {owner}")
        for unit in line.units:
            if unit not in shown:
                raise ProjectionError((*path, "units"), f"expected unit ids that show something, found {unit}")
        units = {unit: unit for unit in line.units or sorted(shown) if unit <= LAST_UNIT}
        if line.site_unit:
            if line.site_unit in units:
                raise ProjectionError((*path, "site_unit"), f"expected a free unit id, {line.site_unit} is a meter's")
            units[line.site_unit] = SITE_UNIT
        yield SerialPlan(port=Serial(port=line.port, baud=line.baud, framing=line.framing), units=units, echo=line.echo)
