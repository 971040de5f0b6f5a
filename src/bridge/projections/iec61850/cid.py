"""The plan -> the text of a CID (SCL 2007 B 4) that `scl.load` and the IEC schema accept."""

from collections.abc import Iterable
from typing import Final

from lxml import etree

from bridge.projections.iec61850.catalogue import (
    ENUMS,
    MULTIPLIER_TEXT,
    OBJECT_TYPES,
    PHASES,
    STRUCTURES,
    UNIT_TEXT,
    VALUE_LEAF,
    Part,
    SiUnit,
    object_class,
)
from bridge.projections.iec61850.cid_reports import WIDE_MEMBERS, Member, add_reports
from bridge.projections.iec61850.plan import Control, Item, Meter, Plan
from bridge.projections.iec61850.sclxml import NS, Element, add

VENDOR: Final = "meterbridge"
MODEL: Final = "MB"
_ADDRESS: Final = (
    ("OSI-PSEL", "00000001"), ("OSI-SSEL", "0001"), ("OSI-TSEL", "0001"), ("OSI-AP-Title", "1,1,1,999,1"),
    ("OSI-AE-Qualifier", "12"),
)  # fmt: skip
_CONTROL: Final = {Control.STATUS_ONLY: "STATUS", Control.DIRECT: "DIRECT", Control.SELECT_BEFORE_OPERATE: "SBO"}
_OUTPUTS: Final = ("SPC", "INC", "APC")
_LLN0: Final = (("Mod", "ENC_Mod"), ("Beh", "ENS_Beh"), ("Health", "ENS_Health"), ("NamPlt", "LPL_LLN0"))
_LPHD: Final = (("PhyNam", "DPL"), ("PhyHealth", "ENS_Health"), ("Proxy", "SPS"))
# Octets of a VisString255.
_TEXT_LIMIT: Final = 255
Objects = dict[str, list[Item]]


def cid(plan: Plan, revision: str) -> bytes:
    """Return the CID; the same plan and revision give the same bytes. Raises: KeyError, ValueError for a bad plan."""
    return _Writer(plan, revision).document("IED", plan.ied)


def icd(plan: Plan, meter: Meter, revision: str) -> bytes:
    """Return the capability file of one meter model: an IED `TEMPLATE` with that one logical device."""
    return _Writer(plan, revision, (meter,)).document("ICD", "TEMPLATE")


class _Writer:
    def __init__(self, plan: Plan, revision: str, meters: tuple[Meter, ...] | None = None) -> None:
        self.plan, self.revision = plan, revision
        self.meters = plan.meters if meters is None else meters
        # the stubs of lxml know no default namespace (None)
        self.root = etree.Element(NS + "SCL", nsmap={None: NS[1:-1]})  # type: ignore[dict-item]
        self.node_types: dict[tuple[str, tuple[tuple[str, str], ...]], str] = {}
        self.object_types: dict[str, tuple[str, tuple[str, ...]]] = {}
        self.members: list[Member] = []
        self.first_nodes: dict[str, Element] = {}

    def document(self, kind: str, name: str) -> bytes:
        for key, value in (("version", "2007"), ("revision", "B"), ("release", "4")):
            self.root.set(key, value)
        add(self.root, "Header", id=name, version="1", revision="0", toolID="meterbridge", nameStructure="IEDName")
        if kind == "IED":
            self._communication()
        ied = add(
            self.root, "IED", name=name, manufacturer=VENDOR, type=MODEL, configVersion=self.revision,
            originalSclVersion="2007", originalSclRevision="B", originalSclRelease="4",
        )  # fmt: skip
        self._services(ied)
        server = add(add(ied, "AccessPoint", name="AP1"), "Server")
        protected = bool(self.plan.passwords)
        add(server, "Authentication", none="false" if protected else "true", password="true" if protected else "false")
        for meter in self.meters:
            self._device(server, meter)
        add_reports(self.plan.reports, self.first_nodes, self.members)
        self._templates()
        return etree.tostring(self.root, xml_declaration=True, encoding="UTF-8", pretty_print=True)

    def _communication(self) -> None:
        network = add(add(self.root, "Communication"), "SubNetwork", name="Net1", type="8-MMS")
        address = add(add(network, "ConnectedAP", iedName=self.plan.ied, apName="AP1"), "Address")
        for kind, text in (("IP", self.plan.ip), *_ADDRESS):
            add(address, "P", type=kind).text = text

    def _services(self, ied: Element) -> None:
        services = add(ied, "Services", nameLength="64")
        add(services, "DynAssociation", max=str(self.plan.listener.max_clients))
        for name in ("GetDirectory", "GetDataObjectDefinition", "GetDataSetValue", "DataSetDirectory"):
            add(services, name)
        add(services, "ConfDataSet", max="8", maxAttributes=str(WIDE_MEMBERS), modify="false")
        add(services, "ReadWrite")
        add(services, "ConfReportControl", max="99", bufConf="false")
        add(services, "GetCBValues")
        add(
            services, "ReportSettings", cbName="Conf", datSet="Conf", rptID="Dyn", optFields="Dyn", bufTime="Dyn",
            trgOps="Dyn", intgPd="Dyn", resvTms="true",
        )  # fmt: skip
        add(services, "ConfLNs", fixPrefix="true", fixLnInst="true")

    def _device(self, server: Element, meter: Meter) -> None:
        device = add(server, "LDevice", inst=meter.inst, desc=meter.device)
        node = add(device, "LN0", lnClass="LLN0", inst="", lnType=self._node_type("LLN0", _LLN0))
        self.first_nodes[meter.inst] = node
        plate = {"vendor": VENDOR, "swRev": self.revision, "d": meter.device, "configRev": "1"}
        _health(add(node, "DOI", name="Health"), meter)
        _values(add(node, "DOI", name="NamPlt"), {**plate, "ldNs": "IEC 61850-7-4:2007B"})
        node = add(device, "LN", prefix="", lnClass="LPHD", inst="1", lnType=self._node_type("LPHD", _LPHD))
        _values(add(node, "DOI", name="PhyNam"), {"vendor": meter.vendor, "model": meter.model})
        _health(add(node, "DOI", name="PhyHealth"), meter)
        # the logical device stands for another physical one: the meter
        _values(add(node, "DOI", name="Proxy"), {"stVal": "true"})
        nodes: dict[tuple[str, str, int], Objects] = {}
        for item in meter.items:
            key = (item.prefix, item.ln_class, item.inst)
            nodes.setdefault(key, {}).setdefault(item.object, []).append(item)
        for (prefix, ln_class, inst), objects in nodes.items():
            typed = [(name, self._object_type(ln_class, items)) for name, items in objects.items()]
            type_name = self._node_type(ln_class, (("Beh", "ENS_Beh"), *typed))
            node = add(device, "LN", prefix=prefix, lnClass=ln_class, inst=str(inst), lnType=type_name)
            for name, items in objects.items():
                self._object(node, meter.inst, name, items)

    def _object(self, node: Element, device: str, name: str, items: list[Item]) -> None:
        first = items[0]
        cdc = object_class(first.ln_class, name)
        instance = add(node, "DOI", name=name)
        for item in items:
            if not item.phase:
                instance.set("desc", item.point)
            _bind(add(instance, "SDI", name=item.phase) if item.phase else instance, "CMV" if item.phase else cdc, item)
        fc = VALUE_LEAF["CMV" if cdc in PHASES else cdc][1]
        self.members.append(Member(device, first.prefix, first.ln_class, str(first.inst), name, fc, cdc))

    def _object_type(self, ln_class: str, items: list[Item]) -> str:
        first = items[0]
        cdc = object_class(ln_class, first.object)
        if cdc not in PHASES:
            if len(items) > 1:
                raise ValueError(f"{first.node}.{first.object} shows {items[0].point} and {items[1].point}")
            return f"{cdc}_{_CONTROL[first.control]}" if cdc in _OUTPUTS else cdc
        given = [item.phase for item in items]
        phases = tuple(phase for phase in PHASES[cdc] if phase in given)
        if sorted(given) != sorted(phases):
            raise ValueError(f"{first.node}.{first.object}: expected phases {PHASES[cdc]}, got {sorted(given)}")
        name = "_".join((cdc, *phases))
        self.object_types[name] = (cdc, phases)
        return name

    def _node_type(self, ln_class: str, objects: tuple[tuple[str, str], ...]) -> str:
        key = (ln_class, objects)
        if key not in self.node_types:
            self.node_types[key] = f"{ln_class}_{sum(known[0] == ln_class for known in self.node_types) + 1}"
        return self.node_types[key]

    def _templates(self) -> None:
        section = add(self.root, "DataTypeTemplates")
        for (ln_class, objects), name in self.node_types.items():
            element = add(section, "LNodeType", id=name, lnClass=ln_class)
            for do_name, do_type in objects:
                add(element, "DO", name=do_name, type=do_type)
        for name, (cdc, phases) in self.object_types.items():
            element = add(section, "DOType", id=name, cdc=cdc)
            for phase in phases:
                add(element, "SDO", name=phase, type="CMV")
        for name, (cdc, parts) in OBJECT_TYPES.items():
            _parts(add(section, "DOType", id=name, cdc=cdc), "DA", parts)
        for name, parts in STRUCTURES.items():
            _parts(add(section, "DAType", id=name), "BDA", parts)
        for name, values in ENUMS.items():
            element = add(section, "EnumType", id=name)
            for ordinal, text in sorted(values.items()):
                add(element, "EnumVal", ord=str(ordinal)).text = text


def _health(instance: Element, meter: Meter) -> None:
    add(instance, "DAI", name="stVal", sAddr=f"dev:{meter.device}")


def _bind(target: Element, cdc: str, item: Item) -> None:
    *path, last = VALUE_LEAF[cdc][0].split(".")
    holder = target
    for name in path:
        holder = add(holder, "SDI", name=name)
    add(holder, "DAI", name=last, sAddr=f"pt:{item.point}")
    if cdc in ("MV", "CMV", "BCR", "APC"):
        units = {"SIUnit": UNIT_TEXT[SiUnit(item.si_unit)], "multiplier": MULTIPLIER_TEXT[item.multiplier]}
        _values(add(target, "SDI", name="units"), units)
    if cdc == "BCR":
        _values(target, {"pulsQty": f"{item.pulse:.0f}"})
    if item.text and cdc != "CMV":
        _values(target, {"d": item.text})


def _values(parent: Element, values: dict[str, str]) -> None:
    for name, text in values.items():
        # what is shown as VisString has no other characters than those of ISO 646
        shown = text.encode("ascii", "replace").decode()[:_TEXT_LIMIT] if name not in ("SIUnit", "multiplier") else text
        add(add(parent, "DAI", name=name), "Val").text = shown


def _parts(parent: Element, tag: str, parts: Iterable[Part]) -> None:
    for part in parts:
        element = add(parent, tag, name=part.name, bType=part.b_type)
        for key, value in (("fc", part.fc), ("type", part.type)):
            if value:
                element.set(key, value)
        for letter, key in (("d", "dchg"), ("q", "qchg")):
            if letter in part.triggers:
                element.set(key, "true")
        if part.value is not None:
            add(element, "Val").text = part.value
