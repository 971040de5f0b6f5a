"""
The DNP3 device profile of what is served: capabilities, present settings, implementation table, points.

An XML document with the element names and their order of the DNP Users Group's schema 2.12.00. The schema itself is
given to members only, may not be passed on and was not at hand: the document is well-formed, and no validation is
claimed. What nobody measured is left out.
"""

from collections.abc import Iterable, Sequence
from xml.etree import ElementTree

from bridge.core.point import PointDef
from bridge.projections.dnp3.controls import CommandStatus
from bridge.projections.dnp3.plan import MasterPlan, Permit, Plan
from bridge.projections.dnp3.profile_points import Node, both, chosen, implementation, may, point_lists, value_now

NAMESPACE = "http://www.dnp.org/DNP3/DeviceProfile"
SCHEMA_VERSION = "2.12.00"
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
                    ("implementationTable", [("table", list(implementation()))]),
                    ("dataPointsList", list(point_lists(plan, known))),
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


def _configuration(plan: Plan, version: str) -> list[Node]:
    identity, first = plan.identity, plan.masters[0]
    device: list[Node] = [
        both("deviceFunction", "outstation"),
        value_now("vendorName", identity.vendor),
        value_now("deviceName", identity.name or identity.product),
        value_now("hardwareVersion", "none: a program"),
        value_now("softwareVersion", identity.version or version),
        value_now("documentVersionNumber", 1),
        both("dnpLevelSupported", ("outStation", [("level2", "")])),
        # required, and nothing of it is there
        both("supportedFunctionBlocks"),
        both("notableAdditions", *(("notableAddition", text) for text in _additions(plan))),
        both("configurationMethods", ("other", [("explanation", "dnp3.yaml of the bridge")])),
        both("connectionsSupported", *(["network"] if plan.on_tcp else []), *(["serial"] if _serials(plan) else [])),
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
        ("unsolicitedConfig", [chosen("supportsUnsolicitedReporting", "on" if first.unsolicited else "off")]),
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
        value_now("portName", master.serial.port),
        chosen("serialParameters", "asynchronous"),
        value_now("baudRate", master.serial.baud.value),
        value_now("linkStatusInterval", "none"),
    ]


def _network(plan: Plan) -> list[Node]:
    networks = [network for master in plan.masters for network in master.networks]
    return [
        value_now("portName", plan.listener.bind),
        both("typeOfEndPoint", "tcpListening"),
        chosen("tcpConnectionEstablishment", "basedOnIPAddress" if networks else "allowsAll"),
        value_now("tcpListenPort", plan.listener.port),
        value_now("tcpKeepAliveTimer", round(plan.masters[0].keepalive_s * 1000)),
        chosen("multipleMasterConnections", "basedOnIPAddress" if networks else "basedOnOther"),
        both("timeSynchronization", *(["dnpLANProcedure"] if may(plan, Permit.TIME) else ["notSupported"])),
    ]


def _link(master: MasterPlan) -> list[Node]:
    return [
        value_now("dataLinkAddress", master.outstation),
        chosen("sourceAddressValidation", "alwaysSingleAddress"),
        value_now("expectedSourceAddress", master.address),
        both("selfAddressSupport", "no"),
        both("sendsConfirmedUserDataFrames", "never"),
        both("linkLayerConfirmTimeout", "none"),
        both("maxDataLinkRetries", "none"),
        value_now("maxTransmittedFrameSize", 292),
        value_now("maxReceivedFrameSize", 292),
    ]


def _application(master: MasterPlan) -> list[Node]:
    return [
        value_now("maxTransmittedFragmentSize", master.fragment_bytes),
        value_now("maxReceivedFragmentSize", master.fragment_bytes),
        both("fragmentTimeout", "none"),
        value_now("maxObjectsInCROBControlRequest", master.max_controls),
        value_now("maxObjectsInAnalogOutputControlRequest", master.max_controls),
        both("supportsMixedObjectGroupsInControlRequest", "yes"),
        both("controlStatusCodesSupported", *(f"code{status.value}" for status in _STATUSES)),
    ]


def _outstation(plan: Plan) -> list[Node]:
    first = plan.masters[0]
    sizes: list[Node] = [(f"class{at}Value", str(size)) for at, size in enumerate(first.event_capacity, start=1)]
    return [
        value_now("applicationLayerConfirmTimeout", round(first.confirm_timeout_s * 1000)),
        both("timeSyncRequired", "atStartupIIN" if may(plan, Permit.TIME) else "never"),
        both("deviceTroubleBit", "neverUsed"),
        both("fileHandleTimeout", "notApplicable"),
        both("eventBufferOverflowBehavior", "discardOldest"),
        ("eventBufferOrganization", [("currentValue", [("perClass", sizes)])]),
        both("sendsMultiFragmentResponses", "yes"),
        both("configurationSignatureSupported", "notSupported"),
        both(
            "requestsApplicationConfirmation", ("eventResponses", [("yes", "")]), ("nonFinalFragments", [("yes", "")])
        ),
        both("supportsDNP3ClockManagement", "no"),
    ]
