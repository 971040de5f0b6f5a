"""What somebody may do: the seven rights of seed 004 (l.1656-1667), and which of them a command needs. Pure."""

import enum
from collections.abc import Mapping
from types import MappingProxyType

from bridge.core.point import PointDef
from bridge.core.quantity import Quantity


class Right(enum.Enum):
    """Separate rights; a role is a set of them."""

    READ = "read"
    PEAK_RESET = "peak_reset"
    TIME = "time"
    TEST = "test"
    CONFIGURATION = "configuration"
    COMMUNICATION = "communication"
    SECURITY = "security"


# Roles that every site has: least privilege first
ROLES: Mapping[str, frozenset[Right]] = MappingProxyType(
    {
        "viewer": frozenset({Right.READ}),
        "operator": frozenset({Right.READ, Right.PEAK_RESET, Right.TIME}),
        "technician": frozenset(Right) - {Right.SECURITY},
        "administrator": frozenset(Right),
    }
)

_RIGHTS: Mapping[Quantity, Right] = MappingProxyType(
    {
        Quantity.RESET_DEMAND_PEAK: Right.PEAK_RESET,
        Quantity.RESET_MIN_MAX: Right.PEAK_RESET,
        Quantity.SYNC_CLOCK: Right.TIME,
        Quantity.DEVICE_CLOCK: Right.TIME,
        Quantity.TEST_MODE: Right.TEST,
        Quantity.DIGITAL_OUTPUT: Right.TEST,
        Quantity.MODBUS_ADDRESS: Right.COMMUNICATION,
        Quantity.MODBUS_BAUDRATE: Right.COMMUNICATION,
        Quantity.BILLING_LOCK: Right.SECURITY,
    }
)


def right_to_write(definition: PointDef) -> Right:
    """Return the right that a write to this point needs; whatever has no right of its own is configuration."""
    return _RIGHTS.get(definition.meaning.quantity, Right.CONFIGURATION)
