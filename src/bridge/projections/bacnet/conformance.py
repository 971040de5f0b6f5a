"""The Protocol Implementation Conformance Statement (135-2020, Annex A) of what a plan serves."""

from collections.abc import Iterator

from bridge.projections.bacnet.alarms import CLASSES
from bridge.projections.bacnet.plan import (
    COMMANDABLE,
    DEVICE,
    NETWORK_PORT,
    NOTIFICATION_CLASS,
    REALS,
    STRUCTURED_VIEW,
    TREND_LOG,
    Layout,
    Mode,
    ObjectType,
    Plan,
    unpack,
)

PROTOCOL_REVISION = 22
# Bits of Protocol_Services_Supported with their names: what the device executes.
SERVICES = {
    0: "AcknowledgeAlarm",
    3: "GetAlarmSummary",
    5: "SubscribeCOV",
    12: "ReadProperty",
    14: "ReadPropertyMultiple",
    15: "WriteProperty",
    16: "WritePropertyMultiple",
    17: "DeviceCommunicationControl",
    20: "ReinitializeDevice",
    35: "ReadRange",
    33: "Who-Has",
    34: "Who-Is",
    38: "SubscribeCOVProperty",
    39: "GetEventInformation",
}
_INITIATED = (
    "I-Am",
    "I-Have",
    "ConfirmedCOVNotification",
    "UnconfirmedCOVNotification",
    "ConfirmedEventNotification",
    "UnconfirmedEventNotification",
)
# Interoperability building blocks (Annex K), as far as they are whole.
_BIBBS = {
    "DS-RP-B": "ReadProperty",
    "DS-RPM-B": "ReadPropertyMultiple",
    "DS-WP-B": "WriteProperty",
    "DS-WPM-B": "WritePropertyMultiple",
    "DS-COV-B": "SubscribeCOV, notifications confirmed and unconfirmed",
    "DS-COVP-B": "SubscribeCOVProperty",
    "AE-ACK-B": "AcknowledgeAlarm",
    "AE-INFO-B": "GetEventInformation",
    "AE-ASUM-B": "GetAlarmSummary",
    "T-VMT-I-B": "ReadRange of Trend Logs, by position, sequence number and time",
    "DM-DDB-B": "Who-Is, I-Am",
    "DM-DOB-B": "Who-Has, I-Have",
    "DM-DCC-B": "DeviceCommunicationControl, with a password",
    "DM-RD-B": "ReinitializeDevice, with a password",
}
_SIZES = "1476 octets; segmented requests and replies, window 16"
_NAMES = {
    NOTIFICATION_CLASS: "Notification Class",
    DEVICE: "Device",
    TREND_LOG: "Trend Log",
    STRUCTURED_VIEW: "Structured View",
    NETWORK_PORT: "Network Port",
}


def object_types(plan: Plan) -> list[int]:
    """Return the object types that the devices of a plan have."""
    types = {TREND_LOG} if plan.trends else set()
    types |= {number >> 22 for number in unpack(plan.object_ids)} | {DEVICE, NETWORK_PORT, NOTIFICATION_CLASS}
    return sorted(types | {STRUCTURED_VIEW} if plan.layout is Layout.ONE_DEVICE and plan.views else types)


def statement(plan: Plan) -> str:
    """Return the statement as Markdown."""
    return "\n".join(_lines(plan)) + "\n"


def _lines(plan: Plan) -> Iterator[str]:
    identity = plan.identity
    yield "# BACnet Protocol Implementation Conformance Statement"
    yield ""
    yield "Self-declared: no laboratory has tested it."
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| Vendor | {identity.vendor} (identifier {identity.vendor_id}) |"
    yield f"| Product, model | {identity.model} |"
    yield f"| Protocol revision | {PROTOCOL_REVISION} |"
    yield "| Standardized device profile | BACnet Gateway (B-GW), nearest; not all of it |"
    yield f"| Device | {identity.instance}, {identity.name} |"
    yield f"| Layout | {plan.layout.value} |"
    yield f"| Segmentation | {_SIZES} |"
    yield f"| Data link | BACnet/IP (Annex J), UDP {plan.listener.port}, {_link(plan)} |"
    yield "| Character set | ISO 10646 (UTF-8) |"
    yield f"| Subscriptions | {plan.cov.total} in all, {plan.cov.per_peer} per peer, {plan.cov.lifetime_s} s at most |"
    yield "| Device address binding | none needed: only replies and notifications to who asked |"
    yield "| Network security | none: BACnet/IP has neither login nor encryption |"
    yield ""
    yield "## Services executed"
    yield ""
    yield from (f"- {SERVICES[bit]}" for bit in sorted(SERVICES))
    yield ""
    yield "Initiated: " + ", ".join(_INITIATED) + "."
    yield ""
    yield "## Interoperability building blocks"
    yield ""
    yield from (f"- {name}: {what}" for name, what in _BIBBS.items())
    yield ""
    yield "## Object types"
    yield ""
    yield "| type | number | objects | writable | dynamically created or deleted |"
    yield "|---|---|---|---|---|"
    kinds = [number >> 22 for number in unpack(plan.object_ids)]
    for kind in object_types(plan):
        yield f"| {_name(kind)} | {kind} | {_count(plan, kinds, kind)} | {_writable(plan, kind)} | no |"


def _link(plan: Plan) -> str:
    mode = plan.network.mode
    if mode is Mode.FOREIGN:
        return f"registers as a foreign device with {plan.network.bbmd}:{plan.network.bbmd_port}"
    if mode is Mode.BBMD:
        return f"BBMD, takes {plan.network.most_foreign} foreign devices"
    return "no BBMD"


def _name(kind: int) -> str:
    return _NAMES.get(kind) or ObjectType(kind).word


def _count(plan: Plan, kinds: list[int], kind: int) -> int:
    devices = 1 + (len(plan.views) if plan.layout is Layout.DEVICE_PER_METER else 0)
    own = {
        DEVICE: devices,
        NOTIFICATION_CLASS: devices * len(CLASSES),
        NETWORK_PORT: devices + (devices > 1),
        STRUCTURED_VIEW: len(plan.views),
        TREND_LOG: len(plan.trends),
    }
    return own.get(kind, kinds.count(kind))


def _writable(plan: Plan, kind: int) -> str:
    if not any(shape.object_type == kind and shape.writable for shape in plan.shapes):
        return "nothing"
    if kind in COMMANDABLE:
        return "Present_Value, by priority" + (", range checked" if kind in REALS else "")
    return "Present_Value"
