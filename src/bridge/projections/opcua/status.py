"""Quality of a sample -> OPC UA StatusCode (OPC 10000-4, 7.39; OPC 10000-8, 6.3 for data access)."""

from bridge.core.quality import Quality

GOOD = 0x0000_0000
# "Communication to the data source has failed. The value is the last one that had a good quality."
NO_COMMUNICATION_LAST_USABLE = 0x408F_0000
# "Whatever was updating this value has stopped doing so."
LAST_USABLE = 0x4090_0000
SUBSTITUTE = 0x4091_0000
# "The value is outside of the range of values defined for this parameter."
UNITS_EXCEEDED = 0x4094_0000
UNCERTAIN = 0x4000_0000
BAD_NO_COMMUNICATION = 0x8031_0000
BAD_WAITING_FOR_INITIAL_DATA = 0x8032_0000
BAD_DEVICE_FAILURE = 0x808B_0000
BAD_OUT_OF_RANGE = 0x803C_0000
# Of the history (OPC 10000-11): "Data is missing due to collection started/stopped/lost", "no data found to provide an
# upper or lower bound value"
BAD_DATA_LOST = 0x809D_0000
BAD_BOUND_NOT_FOUND = 0x80D7_0000
# InfoType DataValue and the Overflow bit: values of the queue of this item were lost (OPC 10000-4, 7.39.1)
OVERFLOW = 0x0000_0480

# What a client reads while a held value is shown; first match. The value stays, so the severity is Uncertain: with Bad
# a client would have to ignore the value (OPC 10000-4, 7.11).
_WITH_VALUE = (
    (Quality.COMM_LOST, NO_COMMUNICATION_LAST_USABLE),
    (Quality.DEVICE_FAULT, LAST_USABLE),
    (Quality.OUT_OF_RANGE, UNITS_EXCEEDED),
    (Quality.STALE, LAST_USABLE),
    (Quality.NEVER_READ, LAST_USABLE),
    (Quality.SUBSTITUTED, SUBSTITUTE),
    (Quality.QUESTIONABLE, UNCERTAIN),
)
_WITHOUT_VALUE = (
    (Quality.COMM_LOST, BAD_NO_COMMUNICATION),
    (Quality.DEVICE_FAULT, BAD_DEVICE_FAILURE),
    (Quality.OUT_OF_RANGE, BAD_OUT_OF_RANGE),
)
# Rollover, discontinuity and an unsynchronised clock are notices about a good value.


def status_of(quality: int, *, has_value: bool) -> int:
    """Return the StatusCode of a sample."""
    if has_value:
        return next((code for flag, code in _WITH_VALUE if quality & flag), GOOD)
    return next((code for flag, code in _WITHOUT_VALUE if quality & flag), BAD_WAITING_FOR_INITIAL_DATA)
