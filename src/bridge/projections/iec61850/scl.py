"""One CID file -> the immutable model, or every fault of the file at once. There is no half-loaded model."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from bridge.projections.iec61850.rules import FITTING, Facts, disagreements, missing_objects, missing_parts
from bridge.projections.iec61850.sclxml import Element, Faults, children, local, read
from bridge.projections.iec61850.templates import Templates
from bridge.projections.iec61850.tree import (
    FC,
    Attribute,
    Binding,
    DataObject,
    DataSet,
    LogicalDevice,
    LogicalNode,
    Model,
    ReportBlock,
    find,
    has_fc,
    leaves,
)

# An MMS domain is the IED name and the LD inst together (IEC 61850-8-1): 64 octets.
_DOMAIN_LIMIT: Final = 64
# Report block instances per ReportControl; the name has two digits.
_INSTANCE_LIMIT: Final = 99
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
_S_ADDR: Final = re.compile(r"(pt|dev):[A-Za-z0-9_.\-]{1,128}")
# HealthKind: Ok, Warning, Alarm.
_HEALTH: Final = frozenset({1, 2, 3})
_CONTROLLABLE: Final = frozenset({"SPC", "DPC", "INC", "ENC", "BSC", "ISC", "APC", "BAC"})
# IEC 61850-7-2 ctlModel ordinals. The normal-security ones answer before the meter did, so they are refused.
_STATUS_ONLY: Final = 0
CONTROL_MODELS: Final = {
    "direct-with-enhanced-security": (3, ("Oper",)),
    "sbo-with-enhanced-security": (4, ("SBOw", "Oper", "Cancel")),
}
_TRIGGERS: Final = (("dchg", 1), ("qchg", 2), ("dupd", 4), ("period", 8), ("gi", 16))
_OPTIONS: Final = (
    ("seqNum", 1), ("timeStamp", 2), ("reasonCode", 4), ("dataSet", 8), ("dataRef", 16), ("bufOvfl", 32),
    ("entryID", 64), ("configRef", 128),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Place:
    device: str
    node: LogicalNode
    element: Element


class _Loader:
    def __init__(self, root: Element, facts: Facts | None) -> None:
        self.faults = Faults()
        self.facts = facts
        self.root = root
        self.templates = Templates(root, self.faults)
        self.bindings: list[Binding] = []

    def model(self) -> Model:
        ied, server = self._server()
        if ied is None or server is None:
            self.faults.raise_if_any()
            raise AssertionError("a missing IED is a fault")
        name = self._name(ied, "name")
        places: dict[str, dict[str, _Place]] = {}
        for device in children(server, "LDevice"):
            inst = self._name(device, "inst")
            if len(name + inst) > _DOMAIN_LIMIT:
                self.faults.add(device, f"IED name and LD inst together exceed {_DOMAIN_LIMIT} octets")
            if inst in places:
                self.faults.add(device, f"LDevice {inst} comes twice")
            places[inst] = self._nodes(device, inst)
        if not places:
            self.faults.add(server, "no LDevice")
        devices = tuple(
            LogicalDevice(inst, tuple(self._with_data_sets(place, places) for place in nodes.values()))
            for inst, nodes in places.items()
        )
        self.faults.raise_if_any()
        return Model(name, devices, tuple(self.bindings), self._addresses(name))

    def _server(self) -> tuple[Element | None, Element | None]:
        ieds = children(self.root, "IED")
        if len(ieds) != 1:
            self.faults.add(ieds[1] if ieds else self.root, f"expected one IED, found {len(ieds)}")
            return (ieds[0] if ieds else None), None
        servers = [s for point in children(ieds[0], "AccessPoint") for s in children(point, "Server")]
        if len(servers) != 1:
            where = servers[1] if servers else ieds[0]
            self.faults.add(where, f"expected one AccessPoint with a Server, found {len(servers)}")
            return ieds[0], None
        return ieds[0], servers[0]

    def _addresses(self, ied: str) -> Mapping[str, str]:
        section = self.root.iter("{*}ConnectedAP")
        taken = [ap for ap in section if ap.get("iedName") == ied]
        return {str(p.get("type")): p.text or "" for ap in taken for p in ap.iter("{*}P")}

    def _name(self, element: Element, key: str) -> str:
        value = self.faults.text(element, key)
        if not _NAME.fullmatch(value):
            self.faults.add(element, f"{local(element)} {key} {value!r} is no name (letter first, 32 at most)")
        return value

    def _nodes(self, device: Element, inst: str) -> dict[str, _Place]:
        found: dict[str, _Place] = {}
        for element in children(device, "LN0", "LN"):
            ln_class = self.faults.text(element, "lnClass")
            name = (element.get("prefix") or "") + ln_class + (element.get("inst") or "")
            if name in found:
                self.faults.add(element, f"{name} comes twice in {inst}")
            objects = self.templates.node(element, self.faults.text(element, "lnType"), ln_class)
            instances: dict[str, Element] = {}
            by_name = {item.name: item for item in objects}
            for doi in children(element, "DOI"):
                do_name = self.faults.text(doi, "name")
                if do_name not in by_name:
                    self.faults.add(doi, f"DOI {do_name!r} is not part of {name}")
                    continue
                instances[do_name] = doi
                by_name[do_name] = self.templates.overlay(by_name[do_name], doi)
            for item in by_name.values():
                self._check_object(item, instances.get(item.name, element), inst, f"{inst}/{name}.{item.name}", None)
            if lacking := missing_objects(ln_class, frozenset(by_name)):
                self.faults.add(element, f"{name} lacks {', '.join(lacking)}")
            found[name] = _Place(inst, LogicalNode(name, ln_class, tuple(by_name.values())), element)
        if "LLN0" not in found:
            self.faults.add(device, f"LDevice {inst} lacks LLN0")
        return found

    def _check_object(self, item: DataObject, where: Element, device: str, path: str, control: str | None) -> None:
        control = self._control(item, where, path) or control
        if lacking := missing_parts(item):
            self.faults.add(where, f"{path} of class {item.cdc} lacks {', '.join(lacking)}")
        has_stamp = item.attribute("q") is not None and item.attribute("t") is not None
        for leaf, attribute in leaves(item.attributes):
            if attribute.s_addr is None:
                continue
            kind, _, name = attribute.s_addr.partition(":")
            if _S_ADDR.fullmatch(attribute.s_addr) is None:
                self.faults.add(
                    where, f"{path}.{leaf}: sAddr {attribute.s_addr!r} is not pt:device.point or dev:device"
                )
            elif attribute.fc not in ("ST", "MX") or not has_stamp:
                self.faults.add(where, f"{path}.{leaf}: a bound value must be ST or MX and have q and t beside it")
            elif kind == "dev":
                self._check_device(name, where, f"{path}.{leaf}", attribute)
                self.bindings.append(
                    Binding("", device, path, leaf, attribute.b_type, _ordinals(attribute), None, name)
                )
            else:
                self._check_point(name, where, f"{path}.{leaf}", item, attribute.b_type, control)
                ordinals = _ordinals(attribute)
                self.bindings.append(Binding(name, device, path, leaf, attribute.b_type, ordinals, control))
        for sub in item.objects:
            self._check_object(sub, where, device, f"{path}.{sub.name}", control)

    def _check_device(self, device: str, where: Element, leaf: str, attribute: Attribute) -> None:
        if attribute.b_type != "Enum" or not _HEALTH.issubset(_ordinals(attribute)):
            self.faults.add(where, f"{leaf}: the health of a device needs an Enum with 1, 2 and 3")
        if self.facts is not None and device not in self.facts.devices:
            self.faults.add(where, f"{leaf}: {device!r} is no device that this server shows")

    def _check_point(
        self, point: str, where: Element, leaf: str, item: DataObject, b_type: str, control: str | None
    ) -> None:
        if self.facts is None:
            return
        shown = self.facts.points.get(point)
        if shown is None:
            self.faults.add(where, f"{leaf}: {point!r} is no point that this server shows")
            return
        if b_type not in FITTING[shown.kind]:
            self.faults.add(where, f"{leaf}: {point!r} is {shown.kind.value}, which {b_type} cannot hold")
        elif control is not None and not shown.commanded:
            self.faults.add(where, f"{leaf}: the mapping does not let {point!r} be commanded")
        for message in disagreements(item, point, shown):
            self.faults.add(where, f"{leaf}: {message}")

    def _control(self, item: DataObject, where: Element, path: str) -> str | None:
        model = item.attribute("ctlModel")
        if item.cdc not in _CONTROLLABLE:
            if item.attribute("Oper") is not None:
                self.faults.add(where, f"{path}: Oper in an object of class {item.cdc}, which is no control")
            return None
        if model is None or model.value is None:
            self.faults.add(where, f"{path}: ctlModel has no value")
            return None
        if model.value == _STATUS_ONLY:
            return None
        for name, (ordinal, needed) in CONTROL_MODELS.items():
            if model.value == ordinal:
                missing = [part for part in needed if item.attribute(part) is None]
                if missing:
                    self.faults.add(where, f"{path}: {name} needs {', '.join(missing)}")
                return name
        self.faults.add(where, f"{path}: ctlModel {model.value} is not served; use enhanced security")
        return None

    def _with_data_sets(self, place: _Place, places: dict[str, dict[str, _Place]]) -> LogicalNode:
        data_sets: dict[str, DataSet] = {}
        for element in children(place.element, "DataSet"):
            name = self._name(element, "name")
            if name in data_sets:
                self.faults.add(element, f"DataSet {name} comes twice")
            members = [self._member(fcda, place.device, places) for fcda in children(element, "FCDA")]
            if not members:
                self.faults.add(element, f"DataSet {name} is empty")
            data_sets[name] = DataSet(name, tuple(filter(None, members)))
        reports: dict[str, ReportBlock] = {}
        for element in children(place.element, "ReportControl"):
            for block in self._reports(element, data_sets):
                if block.name in reports:
                    self.faults.add(element, f"report block {block.name} comes twice")
                reports[block.name] = block
        for element in children(place.element, "LogControl", "GSEControl", "SampledValueControl", "SettingControl"):
            self.faults.add(element, f"{local(element)} is not served")
        return replace(place.node, data_sets=tuple(data_sets.values()), reports=tuple(reports.values()))

    def _member(self, fcda: Element, device: str, places: dict[str, dict[str, _Place]]) -> str:
        inst = self.faults.text(fcda, "ldInst")
        node_name = (fcda.get("prefix") or "") + (fcda.get("lnClass") or "") + (fcda.get("lnInst") or "")
        fc, do_name, da_name = self.faults.text(fcda, "fc"), fcda.get("doName") or "", fcda.get("daName") or ""
        place = places.get(inst, {}).get(node_name)
        what = f"FCDA {inst}/{node_name}.{do_name}{'.' if da_name else ''}{da_name}[{fc}]"
        if fc not in FC or place is None:
            self.faults.add(fcda, f"{what}: no such {'logical node' if fc in FC else 'functional constraint'}")
            return ""
        target = find(place.node.objects, do_name.split("."))
        if target is None or fcda.get("ix") is not None:
            self.faults.add(fcda, f"{what}: no such data object")
            return ""
        if not (_has_attribute(target, da_name.split("."), fc) if da_name else has_fc(target, fc)):
            self.faults.add(fcda, f"{what}: no such attribute with this functional constraint")
            return ""
        path = [node_name, fc, *do_name.split("."), *(da_name.split(".") if da_name else ())]
        return ("" if inst == device else f"{inst}/") + "$".join(path)

    def _reports(self, element: Element, data_sets: dict[str, DataSet]) -> list[ReportBlock]:
        name, data_set = self._name(element, "name"), self.faults.text(element, "datSet")
        if data_set not in data_sets:
            self.faults.add(element, f"ReportControl {name}: DataSet {data_set!r} is not in this logical node")
        enabled = next(iter(children(element, "RptEnabled")), None)
        count = 1 if enabled is None else self.faults.number(enabled, "max", 1, 1, _INSTANCE_LIMIT)
        indexed = self.faults.flag(element, "indexed", default=True)
        if not indexed and count > 1:
            self.faults.add(element, f"ReportControl {name}: more than one instance without indexed")
        trigger, option = (next(iter(children(element, key)), None) for key in ("TrgOps", "OptFields"))
        triggers = sum(bit for key, bit in _TRIGGERS if self.faults.flag(trigger, key, default=key == "gi"))
        options = sum(bit for key, bit in _OPTIONS if self.faults.flag(option, key))
        block = ReportBlock(
            name, element.get("rptID"), self.faults.flag(element, "buffered"), data_set,
            self.faults.number(element, "confRev", None, 0, (1 << 32) - 1), triggers, options,
            self.faults.number(element, "bufTime", 0, 0, 3_600_000),
            self.faults.number(element, "intgPd", 0, 0, 86_400_000),
        )  # fmt: skip
        return [replace(block, name=f"{name}{k:02d}") for k in range(1, count + 1)] if indexed else [block]


def _ordinals(attribute: Attribute) -> frozenset[int]:
    return frozenset(attribute.enum.values())


def _has_attribute(item: DataObject, path: list[str], fc: str) -> bool:
    attributes = item.attributes
    found: Attribute | None = None
    for name in path:
        found = next((a for a in attributes if a.name == name), None)
        if found is None or found.fc != fc:
            return False
        attributes = found.children
    return found is not None


def load(data: bytes, facts: Facts | None = None) -> Model:
    """
    Read a CID. `facts`: the points and devices there are; None checks no binding against them.

    Raises: CidError with every fault and its line.
    """
    return _Loader(read(data), facts).model()
