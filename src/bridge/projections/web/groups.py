"""How the points of a meter are ordered on its page, and which of them stand for it on the overview."""

from collections.abc import Sequence

from bridge.core.point import Kind, PointDef, Role
from bridge.core.quantity import ENERGIES, Direction, Phase, Quantity, Statistic
from bridge.projections.web.core import Core
from bridge.projections.web.live import row
from bridge.projections.web.shown import value_text
from bridge.projections.web.words import Words

_POWERS = frozenset(
    {
        Quantity.ACTIVE_POWER,
        Quantity.REACTIVE_POWER,
        Quantity.APPARENT_POWER,
        Quantity.POWER_FACTOR,
        Quantity.COS_PHI,
    }
)
_DEMANDS = frozenset(
    {
        Quantity.ACTIVE_DEMAND,
        Quantity.REACTIVE_DEMAND,
        Quantity.APPARENT_DEMAND,
        Quantity.CURRENT_DEMAND,
        Quantity.DEMAND_PEAK_CURRENT,
        Quantity.DEMAND_PEAK_TIMESTAMP,
    }
)
_ELECTRICAL = frozenset({Quantity.VOLTAGE, Quantity.CURRENT, Quantity.FREQUENCY, Quantity.RESIDUAL_CURRENT})
_ROLES = {
    Role.STATUS: "States",
    Role.SETTING: "Settings",
    Role.COMMAND: "Commands",
    Role.IDENTITY: "Identity",
}
_ORDER = (
    "Power and power factor",
    "Energy",
    "Demand",
    "Voltage, current, frequency",
    "Other",
    "States",
    "Settings",
    "Commands",
    "Identity",
)


def group_of(definition: PointDef) -> str:
    """Return the heading a point stands under. Pure."""
    if definition.role in _ROLES:
        return _ROLES[definition.role]
    quantity = definition.meaning.quantity
    if quantity in _POWERS:
        return "Power and power factor"
    if quantity in ENERGIES or definition.kind is Kind.ACCUMULATOR:
        return "Energy"
    if quantity in _DEMANDS:
        return "Demand"
    return "Voltage, current, frequency" if quantity in _ELECTRICAL else "Other"


def groups_of(definitions: Sequence[PointDef], words: Words) -> list[tuple[str, list[PointDef]]]:
    """Return the points of a meter under their headings, in the order of the page."""
    found: dict[str, list[PointDef]] = {}
    for definition in definitions:
        found.setdefault(group_of(definition), []).append(definition)
    return [(words(name), found[name]) for name in _ORDER if name in found]


def headline(core: Core, device: str, words: Words) -> list[tuple[PointDef, list[object]]]:
    """Return total power and imported energy of a meter, as far as it has them."""
    found = [_first(core, device, Quantity.ACTIVE_POWER), _first(core, device, Quantity.ACTIVE_ENERGY)]
    return [(definition, row(core, definition, words)) for definition in found if definition is not None]


def firmware_of(core: Core, device: str, language: str) -> str:
    """Return the firmware version that a meter tells, "" when it tells none (C-05)."""
    for definition in core.by_device.get(device, []):
        if definition.meaning.quantity is Quantity.FIRMWARE_VERSION and core.sample(definition).value is not None:
            return value_text(definition, core.sample(definition), language)
    return ""


def _first(core: Core, device: str, quantity: Quantity) -> PointDef | None:
    for definition in core.by_device.get(device, []):
        meaning = definition.meaning
        if (
            meaning.quantity is quantity
            and meaning.phase is Phase.TOTAL
            and meaning.statistic is Statistic.PRESENT
            and meaning.direction in (Direction.NONE, Direction.IMPORT)
            and meaning.tariff == 0
        ):
            return definition
    return None
