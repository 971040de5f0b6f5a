"""What must be said wherever billing data leaves the bridge."""

from bridge.core.point import DeviceDef

# Socomec COUNTIS E2x manual, chapter on MID: what Modbus carries is information without legal value.
MID = (
    "MID meter: its billed energies can be written by nobody. Values read over a network are information and have no "
    "legal value of their own; a bill must be checkable at the meter's display."
)
# Directive 2014/32/EU: billing third parties takes a certified meter.
NOT_MID = "Not a MID meter: its values are for monitoring and not fit for billing others."


def notice(device: DeviceDef) -> str:
    """Return the sentence for one meter."""
    return MID if device.mid else NOT_MID
