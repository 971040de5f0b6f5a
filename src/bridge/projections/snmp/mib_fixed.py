"""The objects of the MIB that every site has. Their numbers are public: never change one, never use one again."""

from typing import NamedTuple

# Day of the last change of the objects in this file.
REVISION = "202611200000Z"


class Object(NamedTuple):
    """A scalar or a column."""

    arc: int
    name: str
    syntax: str
    description: str
    access: str = "read-only"
    units: str = ""


HEADER = """{module} DEFINITIONS ::= BEGIN

IMPORTS
    MODULE-IDENTITY, OBJECT-TYPE, NOTIFICATION-TYPE,
    Integer32, Unsigned32, Gauge32, Counter32, Counter64, {root}
        FROM SNMPv2-SMI
    TEXTUAL-CONVENTION, DateAndTime, TruthValue, TimeStamp
        FROM SNMPv2-TC
    MODULE-COMPLIANCE, OBJECT-GROUP, NOTIFICATION-GROUP
        FROM SNMPv2-CONF;

meterbridgeMIB MODULE-IDENTITY
    LAST-UPDATED "{revision}"
    ORGANIZATION "meterbridge"
    CONTACT-INFO
        "See the documentation of meterbridge, docs/protocols/snmp.md."
    DESCRIPTION
        "Energy meters behind a bridge: meters, their points with quality and
         time, and quantities as typed columns. Written by the bridge from its
         own configuration."
    REVISION     "{revision}"
    DESCRIPTION
        "First revision."
    ::= {{ mbRoot {module_arc} }}
"""

TEXTUAL_CONVENTIONS = """
MbText ::= TEXTUAL-CONVENTION
    DISPLAY-HINT "255t"
    STATUS      current
    DESCRIPTION
        "UTF-8 text."
    SYNTAX      OCTET STRING (SIZE (0..255))

MbQuality ::= TEXTUAL-CONVENTION
    STATUS      current
    DESCRIPTION
        "The worst that is known against a value: good; questionable (plausible
         only in part); stale (older than its period allows); deviceFault (the
         meter answers with an exception or with its own 'no value');
         outOfRange; commLost (the meter does not answer); neverRead (no value
         since the bridge started); substituted (not measured)."
    SYNTAX      INTEGER { good(1), questionable(2), stale(3), deviceFault(4),
                          outOfRange(5), commLost(6), neverRead(7),
                          substituted(8) }

MbFlags ::= TEXTUAL-CONVENTION
    STATUS      current
    DESCRIPTION
        "Everything that is known against a value. rollover and discontinuity
         tell that a counter passed its end, or started anew, with this reading;
         clockUnsynced that the time comes from a clock nobody sets."
    SYNTAX      BITS { neverRead(0), stale(1), commLost(2), deviceFault(3),
                       outOfRange(4), substituted(5), rollover(6),
                       discontinuity(7), clockUnsynced(8), questionable(9) }

MbScale ::= TEXTUAL-CONVENTION
    DISPLAY-HINT "d"
    STATUS      current
    DESCRIPTION
        "A power of ten n: the value is the integer times 10^n."
    SYNTAX      Integer32 (-24..24)

MbStatus ::= TEXTUAL-CONVENTION
    STATUS      current
    DESCRIPTION
        "Whether a meter answers: unknown (not asked yet), online, degraded
         (it answers, and some of its points have no present reading), offline."
    SYNTAX      INTEGER { unknown(1), online(2), degraded(3), offline(4) }

MbSeverity ::= TEXTUAL-CONVENTION
    STATUS      current
    DESCRIPTION
        "Bands of priorities: info (1 to 63), low (64 to 127), medium (128 to
         191), high (192 to 255)."
    SYNTAX      INTEGER { info(1), low(2), medium(3), high(4) }
"""

GATEWAY_SCALARS = (
    Object(1, "mbVersion", "MbText", "Version of the bridge."),
    Object(2, "mbMibVersion", "MbText", "LAST-UPDATED of this module in the bridge."),
    Object(3, "mbDevices", "Gauge32", "Rows of mbDeviceTable.", units="meters"),
    Object(4, "mbDevicesOffline", "Gauge32", "Meters that do not answer.", units="meters"),
    Object(5, "mbPoints", "Gauge32", "Rows of mbPointTable.", units="points"),
    Object(6, "mbPointsBad", "Gauge32", "Points without a present reading.", units="points"),
    Object(7, "mbTrapsSent", "Counter32", "Traps and informs sent, repetitions not counted.", units="notifications"),
    Object(
        8, "mbTrapsDropped", "Counter32", "Notifications given up: a full buffer, or an inform nobody acknowledged.",
        units="notifications",
    ),
    Object(9, "mbWritesRefused", "Counter32", "Writes that policy or meter refused.", units="writes"),
)  # fmt: skip

DEVICE_COLUMNS = (
    Object(1, "mbDeviceIndex", "Unsigned32 (1..2147483647)", "Number of the meter.", "not-accessible"),
    Object(2, "mbDeviceName", "MbText", "Name of the meter in the site."),
    Object(3, "mbDeviceVendor", "MbText", "Maker."),
    Object(4, "mbDeviceModel", "MbText", "Model as sold."),
    Object(5, "mbDeviceSerial", "MbText", "Serial number as the meter states it; absent where it does not."),
    Object(6, "mbDeviceFirmware", "MbText", "Firmware version as the meter states it; absent where it does not."),
    Object(7, "mbDeviceChannel", "MbText", "Serial line or connection the meter is on."),
    Object(8, "mbDeviceUnitId", "Gauge32", "Modbus unit id of the meter on its channel."),
    Object(9, "mbDeviceLabels", "MbText", "Labels of the meter, as 'tenant=12; floor=3'."),
    Object(10, "mbDeviceMid", "TruthValue", "Whether the meter may bill (MID)."),
    Object(
        11, "mbDeviceWiring", "INTEGER { singlePhase(1), threeWire(2), fourWire(3) }",
        "System the meter is connected to (volts mode).",
    ),
    Object(12, "mbDeviceStatus", "MbStatus", "Whether the meter answers."),
    Object(13, "mbDeviceStatusSince", "TimeStamp", "sysUpTime when mbDeviceStatus was last another."),
    Object(14, "mbDeviceLastReading", "DateAndTime", "Time of the newest reading; absent before the first."),
    Object(15, "mbDevicePoints", "Gauge32", "Points of the meter.", units="points"),
    Object(16, "mbDevicePointsBad", "Gauge32", "Of these, points without a present reading.", units="points"),
)  # fmt: skip

POINT_COLUMNS = (
    Object(1, "mbPointIndex", "Unsigned32 (1..2147483647)", "Number of the point in its meter.", "not-accessible"),
    Object(2, "mbPointName", "MbText", "Name of the point in its meter, as active_power_total."),
    Object(3, "mbPointLabel", "MbText", "What the point is, for people."),
    Object(
        4, "mbPointValue", "MbText",
        "The last value as text, in mbPointUnits: a number with all its digits (energy exactly as counted), a state's"
        " text, a time in ISO 8601. Absent before the first reading. Takes a SET where mbPointWritable is true.",
        "read-write",
    ),
    Object(
        5, "mbPointScaled", "Integer32",
        "The last value as an integer: times 10 to the power mbPointScale it is the value in mbPointUnits; the code of"
        " a state. At the end of Integer32 it stays there. Absent for texts and times. Takes a SET where"
        " mbPointWritable is true.",
        "read-write",
    ),
    Object(6, "mbPointScale", "MbScale", "Power of ten of mbPointScaled."),
    Object(7, "mbPointUnits", "MbText", "Unit of the point: V, A, kW, kWh, %, ..."),
    Object(8, "mbPointQuality", "MbQuality", "Whether the value is a present reading, and if not, why."),
    Object(9, "mbPointFlags", "MbFlags", "Everything that is known against the value."),
    Object(10, "mbPointTime", "DateAndTime", "When the value was read, UTC. Not renewed while the value is held."),
    Object(
        11, "mbPointCounter", "Counter64",
        "An energy register in whole base units: Wh, varh, VAh, whatever mbPointUnits says. Absent for what is no"
        " register and for what may fall.",
    ),
    Object(
        12, "mbPointDiscontinuity", "TimeStamp",
        "sysUpTime when the register last passed its end or started anew, 0 if never since the agent started.",
    ),
    Object(
        13, "mbPointKind", "INTEGER { analog(1), accumulator(2), binary(3), multistate(4), text(5), time(6) }",
        "What kind of value the point has.",
    ),
    Object(14, "mbPointWritable", "TruthValue", "Whether a SET reaches the write policy of the bridge."),
    Object(15, "mbPointStates", "MbText", "Codes and texts of a state, as '0=OK; 1=Loss'. Absent for numbers."),
)  # fmt: skip

ALARM_SCALARS = (
    Object(1, "mbAlarmsActive", "Gauge32", "Alarms that are active.", units="alarms"),
    Object(2, "mbAlarmsHidden", "Gauge32", "Of these, alarms that mbAlarmTable has no row for.", units="alarms"),
)
ALARM_COLUMNS = (
    Object(
        1, "mbAlarmRow", "Unsigned32 (1..2147483647)",
        "Row of the alarm while it is active; another alarm may have it then.", "not-accessible",
    ),
    Object(2, "mbAlarmNumber", "Counter64", "Number of the event the alarm began with: no two alarms share one."),
    Object(3, "mbAlarmName", "MbText", "Rule that watches for it."),
    Object(4, "mbAlarmText", "MbText", "What is wrong, for people."),
    Object(5, "mbAlarmDevice", "MbText", "Name of the meter."),
    Object(6, "mbAlarmPoint", "MbText", "Name of the point in its meter, empty if it is the meter as a whole."),
    Object(7, "mbAlarmPriority", "Integer32 (0..255)", "Priority: 64-127 low, 128-191 medium, 192-255 high."),
    Object(8, "mbAlarmSeverity", "MbSeverity", "Band of the priority."),
    Object(9, "mbAlarmStart", "DateAndTime", "When it began, UTC."),
    Object(10, "mbAlarmLimit", "MbText", "Level it was picked up at, in the unit of the point; absent where none is."),
    Object(11, "mbAlarmExtreme", "MbText", "Furthest value that is known; absent where none is."),
    Object(12, "mbAlarmAcknowledged", "TruthValue", "Whether somebody has acknowledged it."),
    Object(13, "mbAlarmAcknowledgedBy", "MbText", "Who acknowledged it, empty if nobody did."),
)  # fmt: skip

_NOTIFY = "accessible-for-notify"
EVENT_OBJECTS = (
    Object(1, "mbEventNumber", "Counter64", "Number of the event, without gaps; 0 where it has none.", _NOTIFY),
    Object(2, "mbEventTime", "DateAndTime", "When it happened, UTC.", _NOTIFY),
    Object(3, "mbEventPriority", "Integer32 (0..255)", "Priority: 64-127 low, 128-191 medium, 192-255 high.", _NOTIFY),
    Object(4, "mbEventKind", "MbText", "What kind of event, as alarm_start.", _NOTIFY),
    Object(5, "mbEventText", "MbText", "What happened, for people.", _NOTIFY),
    Object(6, "mbEventDevice", "MbText", "Name of the meter, empty if of none.", _NOTIFY),
    Object(7, "mbEventPoint", "MbText", "Name of the point in its meter, empty if of none.", _NOTIFY),
    Object(8, "mbEventValue", "MbText", "Value of the point at that time, empty if none.", _NOTIFY),
)  # fmt: skip

_EVENT = tuple(item.name for item in EVENT_OBJECTS)
_DEVICE = ("mbEventTime", "mbEventPriority", "mbEventText", "mbDeviceName", "mbDeviceStatus")
NOTIFICATIONS = (
    (1, "mbEventLow", _EVENT, "An event of priority 64 to 127."),
    (2, "mbEventMedium", _EVENT, "An event of priority 128 to 191."),
    (3, "mbEventHigh", _EVENT, "An event of priority 192 to 255."),
    (4, "mbDeviceLost", _DEVICE, "A meter does not answer any more: its values are old from now on."),
    (5, "mbDeviceRestored", _DEVICE, "A meter that was lost answers again."),
)
