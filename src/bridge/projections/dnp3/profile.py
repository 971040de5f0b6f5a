"""
The DNP3 device profile of what is served: capabilities, present settings, implementation table, points.

An XML document with the element names of the DNP Users Group's schema 2.12.00. The schema itself may not be passed on
and was not at hand: the document is well-formed, and no validation is claimed. What nobody measured is left out.
"""

from collections.abc import Iterable, Sequence
from xml.etree import ElementTree

from bridge.core.point import Kind, PointDef
from bridge.projections.dnp3.controls import CommandStatus
from bridge.projections.dnp3.implementation import BARE_FUNCTIONS, table
from bridge.projections.dnp3.objects import PointType
from bridge.projections.dnp3.plan import MasterPlan, Permit, Plan, Shown

NAMESPACE = "http://www.dnp.org/DNP3/DeviceProfile"
SCHEMA_VERSION = "2.12.00"
# Name of an element and what is in it: text, or further elements. An element without either stands for itself.
Node = tuple[str, "str | Sequence[Node]"]
_CLASS_WORDS = ("none", "one", "two", "three")
# Statuses the outstation answers controls with (controls.py, backend.py).
_STATUSES = (
    CommandStatus.TIMEOUT,
    CommandStatus.NO_SELECT,
    CommandStatus.NOT_SUPPORTED,
    CommandStatus.ALREADY_ACTIVE,
    CommandStatus.HARDWARE_ERROR,
    CommandStatus.TOO_MANY_OPS,
    CommandStatus.NOT_AUTHORIZED,
    CommandStatus.OUT_OF_RANGE,
    CommandStatus.DOWNSTREAM_FAIL,
)
# List of points, one point, and the element of its class, by type.
_LISTS = {
    PointType.BINARY_INPUT: ("binaryInputPoints", "binaryInput"),
    PointType.DOUBLE_BIT: ("doubleBitInputPoints", "doubleBitInput"),
    PointType.BINARY_OUTPUT: ("binaryOutputPoints", "binaryOutput"),
    PointType.COUNTER: ("counterPoints", "counter"),
    PointType.ANALOG_INPUT: ("analogInputPoints", "analogInput"),
    PointType.ANALOG_OUTPUT: ("analogOutputPoints", "analogOutput"),
    PointType.OCTET_STRING: ("octetStringPoints", "octetString"),
}


def device_profile(plan: Plan, points: Iterable[PointDef], version: str) -> str:
    """Return the document; `version`: of the bridge."""
    known = {definition.index: definition for definition in points}
    ElementTree.register_namespace("", NAMESPACE)
    root = ElementTree.Element(f"{{{NAMESPACE}}}DNP3DeviceProfileDocument", {"schemaVersion": SCHEMA_VERSION})
    name = plan.identity.name or plan.identity.product
    _put(
        root,
        [
            ("documentHeader", [("documentName", f"{name}: DNP3 device profile"), ("documentType", "Both")]),
            (
                "referenceDevice",
                [
                    ("configuration", _configuration(plan, version)),
                    ("implementationTable", [("table", list(_implementation()))]),
                    ("dataPointsList", list(_lists(plan, known))),
                ],
            ),
        ],
    )
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _put(parent: ElementTree.Element, nodes: Sequence[Node]) -> None:
    for name, content in nodes:
        child = ElementTree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
        if isinstance(content, str):
            child.text = content or None
        else:
            _put(child, content)


def _now(name: str, value: object) -> Node:
    return name, [("currentValue", [("value", str(value))])]


def _is(name: str, *choices: str) -> Node:
    return name, [("currentValue", [(choice, "") for choice in choices])]


def _configuration(plan: Plan, version: str) -> list[Node]:
    identity, first = plan.identity, plan.masters[0]
    device: list[Node] = [
        _is("deviceFunction", "outstation"),
        _now("vendorName", identity.vendor),
        _now("deviceName", identity.name or identity.product),
        _now("softwareVersion", identity.version or version),
        ("dnpLevelSupported", [("currentValue", [("outStation", [("level2", "")])])]),
        ("notableAdditions", [("currentValue", [("notableAddition", text) for text in _additions(plan)])]),
        _is("connectionsSupported", *(["network"] if plan.on_tcp else []), *(["serial"] if _serials(plan) else [])),
    ]
    parts: list[Node] = [("deviceConfig", device)]
    parts += [("serialConfig", _serial(master)) for master in _serials(plan)]
    if plan.on_tcp:
        parts.append(("networkConfig", _network(plan)))
    return [
        *parts,
        ("linkConfig", _link(first)),
        ("applConfig", _application(first)),
        ("outstationConfig", _outstation(plan)),
        ("unsolicitedConfig", [_is("supportsUnsolicitedReporting", "on" if first.unsolicited else "off")]),
    ]


def _additions(plan: Plan) -> list[str]:
    text = [
        f"{len(plan.masters)} masters, told apart by link address and network; each has its own events and sequence",
        "Functions 9 and 10 are refused: no master can clear an energy counter",
        "Analog inputs in single and double precision (g30v5, g30v6, g32v5 to g32v8)",
        "Energy counters have their value in the unit as a double beside them (g30v6), if the mapping lets them",
        "Octet strings (g110, g111) show texts",
        "Device attributes (g0), deadbands (g34), command events (g13, g43)",
    ]
    for master in plan.masters:
        allowed = ", ".join(sorted(permit.value for permit in master.permits)) or "reading only"
        text.append(f"Master {master.address} at outstation {master.outstation}: {allowed}")
    return text


def _serials(plan: Plan) -> list[MasterPlan]:
    return [master for master in plan.masters if master.serial is not None]


def _serial(master: MasterPlan) -> list[Node]:
    assert master.serial is not None
    return [
        _now("portName", master.serial.port),
        _is("serialParameters", "asynchronous"),
        _now("baudRate", master.serial.baud.value),
        _now("linkStatusInterval", "none"),
    ]


def _network(plan: Plan) -> list[Node]:
    networks = [network for master in plan.masters for network in master.networks]
    return [
        _now("portName", plan.listener.bind),
        _is("typeOfEndPoint", "tcpListening"),
        _is("tcpConnectionEstablishment", "basedOnIPAddress" if networks else "allowsAll"),
        _now("tcpListenPort", plan.listener.port),
        _now("tcpKeepAliveTimer", round(plan.masters[0].keepalive_s * 1000)),
        _is("multipleMasterConnections", "basedOnIPAddress" if networks else "basedOnOther"),
        _is("timeSynchronization", *(["dnpLANProcedure"] if _may(plan, Permit.TIME) else ["notSupported"])),
    ]


def _may(plan: Plan, permit: Permit) -> bool:
    return any(permit in master.permits for master in plan.masters)


def _link(master: MasterPlan) -> list[Node]:
    return [
        _now("dataLinkAddress", master.outstation),
        _is("sourceAddressValidation", "alwaysSingleAddress"),
        _now("expectedSourceAddress", master.address),
        _is("selfAddressSupport", "no"),
        _is("sendsConfirmedUserDataFrames", "never"),
        _now("maxTransmittedFrameSize", 292),
        _now("maxReceivedFrameSize", 292),
    ]


def _application(master: MasterPlan) -> list[Node]:
    return [
        _now("maxTransmittedFragmentSize", master.fragment_bytes),
        _now("maxReceivedFragmentSize", master.fragment_bytes),
        _is("fragmentTimeout", "none"),
        _now("maxObjectsInCROBControlRequest", master.max_controls),
        _now("maxObjectsInAnalogOutputControlRequest", master.max_controls),
        _is("supportsMixedObjectGroupsInControlRequest", "yes"),
        ("controlStatusCodesSupported", [("capabilities", [(f"code{status.value}", "") for status in _STATUSES])]),
    ]


def _outstation(plan: Plan) -> list[Node]:
    first = plan.masters[0]
    sizes: list[Node] = [(f"class{at}Value", str(size)) for at, size in enumerate(first.event_capacity, start=1)]
    return [
        _now("applicationLayerConfirmTimeout", round(first.confirm_timeout_s * 1000)),
        _is("timeSyncRequired", "atStartupIIN" if _may(plan, Permit.TIME) else "never"),
        _is("deviceTroubleBit", "neverUsed"),
        _is("eventBufferOverflowBehavior", "discardOldest"),
        ("eventBufferOrganization", [("currentValue", [("perClass", sizes)])]),
        _is("sendsMultiFragmentResponses", "yes"),
        _is("configurationSignatureSupported", "notSupported"),
    ]


def _implementation() -> Iterable[Node]:
    for row in table():
        entry: list[Node] = [
            ("objectGroup", str(row.group)),
            ("variation", str(row.variation)),
            ("description", row.description),
        ]
        functions, qualifiers = row.request
        if functions:
            codes: list[Node] = [("functionCode", str(int(function))) for function in functions]
            entry.append(("request", codes + [("qualifierCode", str(int(one))) for one in qualifiers]))
        if row.response:
            taken: list[Node] = [("qualifierCode", str(int(one))) for one in row.response]
            entry.append(("response", [("functionCode", "129"), *taken]))
        yield "supportedVariation", entry
    for function in BARE_FUNCTIONS:
        yield "supportedFunctionCode", [("request", [("functionCode", str(int(function)))])]


def _lists(plan: Plan, known: dict[int, PointDef]) -> Iterable[Node]:
    for point_type, (name, one) in _LISTS.items():
        mine = sorted((place for place in plan.points if place.type is point_type), key=lambda place: place.number)
        if mine:
            points = [(one, _point(place, known[place.index], plan)) for place in mine]
            yield name, [("dataPoints", points)]


def _point(place: Shown, definition: PointDef, plan: Plan) -> list[Node]:
    nodes: list[Node] = [("index", str(place.number)), ("name", definition.id)]
    if definition.label:
        nodes.append(("description", definition.label))
    if place.type is PointType.COUNTER:
        nodes += [
            ("countersIncludedInClass0", "always"),
            ("counterEventClass", _CLASS_WORDS[place.event_class]),
            ("frozenCounterExists", "true" if plan.frozen else "false"),
        ]
        if plan.frozen:
            nodes += [
                ("frozenCountersIncludedInClass0", "always"),
                ("frozenCounterEventClass", _CLASS_WORDS[place.frozen_class]),
            ]
        return nodes
    nodes += [("changeEventClass", _CLASS_WORDS[place.event_class]), ("includedInClass0Response", "always")]
    if place.type in (PointType.BINARY_INPUT, PointType.BINARY_OUTPUT, PointType.DOUBLE_BIT):
        nodes += [(f"nameState{code}", text) for code, text in definition.states if 0 <= code <= 3]
    if place.type in (PointType.ANALOG_INPUT, PointType.ANALOG_OUTPUT):
        unit = "ms since 1970-01-01 UTC" if definition.kind is Kind.TIME else definition.unit
        nodes += [("units", unit)] if unit else []
    return nodes
