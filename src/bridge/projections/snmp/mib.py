"""
The MIB as text (SMIv2, RFC 2578 to 2580), from the plan that is served: `mib_text` is what a station loads.

Fixed objects stand in `mib_fixed`; the typed columns of the measure table are those of the plan.
"""

import textwrap
from collections.abc import Iterable, Sequence

from bridge.projections.snmp.mib_fixed import (
    ALARM_COLUMNS,
    ALARM_SCALARS,
    DEVICE_COLUMNS,
    EVENT_OBJECTS,
    GATEWAY_SCALARS,
    HEADER,
    NOTIFICATIONS,
    POINT_COLUMNS,
    REVISION,
    TEXTUAL_CONVENTIONS,
    Object,
)
from bridge.projections.snmp.plan import (
    ALARM_ARC,
    CONFORMANCE_ARC,
    DEVICE_ARC,
    EVENT_ARC,
    GATEWAY_ARC,
    MEASURE_ARC,
    MODULE_ARC,
    NOTIFICATIONS_ARC,
    OBJECTS_ARC,
    POINT_ARC,
    Column,
    Oid,
    Plan,
    Shape,
)

MODULE = "METERBRIDGE-MIB"
_ENTERPRISES: Oid = (1, 3, 6, 1, 4, 1)
_INTERNET: Oid = (1, 3, 6, 1)
_SYNTAX = {
    Shape.SCALED: "Integer32",
    Shape.COUNTER: "Counter64",
    Shape.DECIMAL: "MbText",
    Shape.STATE: "Integer32",
    Shape.TEXT: "MbText",
    Shape.TIME: "DateAndTime",
}
_WIDTH = 76


def mib_text(plan: Plan) -> str:
    """Return the module; it ends with a newline and has no line of more than 100 characters."""
    root, below = ("enterprises", 6) if plan.enterprise[:6] == _ENTERPRISES else ("internet", 4)
    columns = [_measure(column) for column in plan.columns]
    parts = [
        HEADER.format(module=MODULE, root=root, revision=REVISION, module_arc=MODULE_ARC),
        *_nodes(root, plan.enterprise[below:]),
        f"mbNotifications OBJECT IDENTIFIER ::= {{ meterbridgeMIB {NOTIFICATIONS_ARC} }}",
        f"mbObjects       OBJECT IDENTIFIER ::= {{ meterbridgeMIB {OBJECTS_ARC} }}",
        f"mbConformance   OBJECT IDENTIFIER ::= {{ meterbridgeMIB {CONFORMANCE_ARC} }}",
        f"mbGateway       OBJECT IDENTIFIER ::= {{ mbObjects {GATEWAY_ARC} }}",
        f"mbEvents        OBJECT IDENTIFIER ::= {{ mbObjects {EVENT_ARC} }}",
        f"mbAlarms        OBJECT IDENTIFIER ::= {{ mbObjects {ALARM_ARC} }}",
        TEXTUAL_CONVENTIONS,
        "-- The bridge itself\n",
        *(_object(item, "mbGateway") for item in GATEWAY_SCALARS),
        "-- Meters, one row each\n",
        *_table("mbDevice", DEVICE_ARC, ("mbDeviceIndex",), DEVICE_COLUMNS, _DEVICES),
        "-- Every point of every meter: the last value, whatever its quality\n",
        *_table("mbPoint", POINT_ARC, ("mbDeviceIndex", "mbPointIndex"), POINT_COLUMNS, _POINTS),
        "-- Quantities as typed columns: an instance is there while its value is a present reading\n",
        *_table("mbMeasure", MEASURE_ARC, ("mbDeviceIndex", "mbMeasureCircuit"), [_CIRCUIT, *columns], _MEASURES),
        "-- What is wrong now\n",
        *(_object(item, "mbAlarms") for item in ALARM_SCALARS),
        *_table("mbAlarm", 3, ("mbAlarmRow",), ALARM_COLUMNS, _ALARMS, "mbAlarms"),
        "-- What notifications carry\n",
        *(_object(item, "mbEvents") for item in EVENT_OBJECTS),
        "-- Notifications\n",
        *(_notification(*item) for item in NOTIFICATIONS),
        *_conformance(columns),
        "END",
    ]
    return "\n".join(parts) + "\n"


def _nodes(root: str, arcs: Oid) -> Iterable[str]:
    """Name every node down to mbRoot: a node without a name is bad style (RFC 2578, 3.6)."""
    for at, arc in enumerate(arcs):
        name = "mbRoot" if at + 1 == len(arcs) else f"mbArc{at + 1}"
        yield f"{name} OBJECT IDENTIFIER ::= {{ {root} {arc} }}"
        root = name


_DEVICES = "Meters of the site. The number of a meter never changes and is never given to another."
_POINTS = (
    "Points of the meters. The number of a point inside its meter never changes and is never given to another."
    " The value is the last one held: look at mbPointQuality and mbPointTime."
)
_MEASURES = (
    "One row for each measuring circuit of a meter. An instance is absent when the meter has no such quantity,"
    " and while its value is no present reading."
)
_ALARMS = "The active alarms. An alarm keeps its row while it is active; a row that is free has no instances."
_CIRCUIT = Object(
    1, "mbMeasureCircuit", "Unsigned32 (1..9)", "Measuring circuit of the meter, from 1.", "not-accessible"
)


def _measure(column: Column) -> Object:
    syntax = _SYNTAX[column.shape]
    if column.names:
        labels = ", ".join(f"{label}({code})" for code, label in column.names)
        syntax = f"INTEGER {{ {labels} }}"
    text = column.description
    if column.shape is Shape.COUNTER:
        text += " The exact count is mbPointValue of the same point; mbPointDiscontinuity tells of resets."
    return Object(column.arc, column.name, syntax, text, units=column.units)


def _table(
    name: str, arc: int, index: Sequence[str], columns: Sequence[Object], description: str, parent: str = "mbObjects"
) -> Iterable[str]:
    entry = name[0].upper() + name[1:] + "Entry"
    yield (
        f"{name}Table OBJECT-TYPE\n    SYNTAX      SEQUENCE OF {entry}\n    MAX-ACCESS  not-accessible\n"
        f"    STATUS      current\n{_description(description)}\n    ::= {{ {parent} {arc} }}\n"
    )
    yield (
        f"{name}Entry OBJECT-TYPE\n    SYNTAX      {entry}\n    MAX-ACCESS  not-accessible\n    STATUS      current\n"
        f"{_description('A row of ' + name + 'Table.')}\n    INDEX       {{ {', '.join(index)} }}\n"
        f"    ::= {{ {name}Table 1 }}\n"
    )
    members = ",\n".join(f"    {item.name} {_base(item.syntax)}" for item in columns)
    yield f"{entry} ::= SEQUENCE {{\n{members}\n}}\n"
    yield from (_object(item, f"{name}Entry") for item in columns)


def _base(syntax: str) -> str:
    """Return the type as it stands in a SEQUENCE: without ranges and labels (RFC 2578, 7.1.12)."""
    return syntax.split(" ")[0]


def _object(item: Object, parent: str) -> str:
    lines = [f"{item.name} OBJECT-TYPE", *_syntax(item.syntax)]
    lines += [f'    UNITS       "{item.units}"'] if item.units else []
    lines += [f"    MAX-ACCESS  {item.access}", "    STATUS      current", _description(item.description)]
    return "\n".join([*lines, f"    ::= {{ {parent} {item.arc} }}"]) + "\n"


def _syntax(syntax: str) -> list[str]:
    return textwrap.wrap(f"    SYNTAX      {syntax}", 96, subsequent_indent=" " * 20, break_on_hyphens=False)


def _description(text: str) -> str:
    lines = textwrap.wrap(text.replace('"', "'"), _WIDTH, break_on_hyphens=False)
    return '    DESCRIPTION\n        "' + "\n         ".join(lines) + '"'


def _notification(arc: int, name: str, objects: Sequence[str], description: str) -> str:
    return (
        f"{name} NOTIFICATION-TYPE\n{_listed('OBJECTS    ', objects)}\n    STATUS      current\n"
        f"{_description(description)}\n    ::= {{ mbNotifications {arc} }}\n"
    )


def _listed(keyword: str, names: Sequence[str]) -> str:
    lines = textwrap.wrap(", ".join(names), _WIDTH, break_long_words=False)
    return f"    {keyword} {{\n        " + "\n        ".join(lines) + " }"


def _conformance(columns: Sequence[Object]) -> Iterable[str]:
    yield "-- Conformance\n"
    yield "mbGroups      OBJECT IDENTIFIER ::= { mbConformance 1 }"
    yield "mbCompliances OBJECT IDENTIFIER ::= { mbConformance 2 }\n"
    groups = (
        (1, "mbGatewayGroup", GATEWAY_SCALARS, "Scalars of the bridge."),
        (2, "mbDeviceGroup", DEVICE_COLUMNS, "The device table."),
        (3, "mbPointGroup", POINT_COLUMNS, "The point table."),
        (4, "mbMeasureGroup", columns, "Typed columns of the quantities of the site."),
        (5, "mbEventGroup", EVENT_OBJECTS, "What notifications carry."),
        (7, "mbAlarmGroup", (*ALARM_SCALARS, *ALARM_COLUMNS), "The active alarms."),
    )
    mandatory = []
    for arc, name, items, text in groups:
        members = [item.name for item in items if item.access != "not-accessible"]
        if not members:
            continue
        mandatory.append(name)
        yield (
            f"{name} OBJECT-GROUP\n{_listed('OBJECTS    ', members)}\n    STATUS      current\n"
            f"{_description(text)}\n    ::= {{ mbGroups {arc} }}\n"
        )
    yield (
        f"mbNotificationGroup NOTIFICATION-GROUP\n{_listed('NOTIFICATIONS', [n[1] for n in NOTIFICATIONS])}\n"
        f"    STATUS      current\n{_description('All notifications.')}\n    ::= {{ mbGroups 6 }}\n"
    )
    yield (
        f"mbCompliance MODULE-COMPLIANCE\n    STATUS      current\n"
        f"{_description('A bridge serves every group; typed columns are those its meters have.')}\n"
        f"    MODULE\n{_listed('MANDATORY-GROUPS', [*mandatory, 'mbNotificationGroup'])}\n"
        f"    ::= {{ mbCompliances 1 }}\n"
    )
