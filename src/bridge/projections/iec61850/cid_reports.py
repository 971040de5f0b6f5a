"""Data sets and report blocks of a generated CID, by layout."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from bridge.projections.iec61850.plan import ReportLayout, Reports
from bridge.projections.iec61850.sclxml import NS, Element, add

# Members of a data set: 100 members of class CMV are about 4 KB of report.
WIDE_MEMBERS: Final = 500
# What is an event and no measurand: counters, states, outputs.
_EVENT_CLASSES: Final = frozenset({"BCR", "SPS", "INS", "VSS", "SPC", "INC"})
_WIDE: Final = (ReportLayout.EVENTS_WIDE, ReportLayout.FULL_WIDE)
_FULL: Final = (ReportLayout.FULL_PER_DEVICE, ReportLayout.FULL_WIDE)


@dataclass(frozen=True, slots=True)
class Member:
    """A data object with the constraint of its value; `cdc`: its class."""

    device: str
    prefix: str
    ln_class: str
    inst: str
    object: str
    fc: str
    cdc: str


def add_reports(reports: Reports, first_nodes: dict[str, Element], members: Iterable[Member]) -> None:
    """Put data sets and report blocks into the LLN0 of the logical devices. `first_nodes`: inst -> LLN0."""
    wide, full = reports.layout in _WIDE, reports.layout in _FULL
    by_device: dict[str, list[Member]] = {}
    first = next(iter(first_nodes), "")
    for member in members:
        by_device.setdefault(first if wide else member.device, []).append(member)
    for inst, mine in by_device.items():
        node = first_nodes[inst]
        events = [m for m in mine if m.cdc in _EVENT_CLASSES]
        sets = [*_chunks("dsAll", mine), *([] if full else _chunks("dsEvent", events))]
        for name, chunk in sets:
            _data_set(node, name, chunk)
        for name, _ in sets:
            if full or name.startswith("dsEvent"):
                _block(reports, node, f"brcb{name[2:]}", name, buffered=True)
            if name.startswith("dsAll"):
                _block(reports, node, f"urcb{name[2:]}", name, buffered=False)
        # the schema wants data sets and report blocks before the instances
        node.extend(node.findall(NS + "DOI"))


def _data_set(node: Element, name: str, members: list[Member]) -> None:
    data_set = add(node, "DataSet", name=name)
    for m in members:
        node_of = {"ldInst": m.device, "prefix": m.prefix, "lnClass": m.ln_class, "lnInst": m.inst}
        add(data_set, "FCDA", **node_of, doName=m.object, fc=m.fc)


def _block(reports: Reports, node: Element, name: str, data_set: str, buffered: bool) -> None:
    block = add(
        node, "ReportControl", name=name, datSet=data_set, confRev="1", buffered=str(buffered).lower(),
        bufTime=str(reports.buffer_time_ms), intgPd=str(0 if buffered else reports.integrity_period_ms), indexed="true",
    )  # fmt: skip
    periodic = reports.layout is ReportLayout.PERIODIC_PER_DEVICE and not buffered
    add(block, "TrgOps", dchg="false" if periodic else "true", qchg="true", period="true", gi="true")
    add(
        block, "OptFields", seqNum="true", timeStamp="true", reasonCode="true", dataSet="true", bufOvfl="true",
        entryID="true", configRef="true",
    )  # fmt: skip
    add(block, "RptEnabled", max=str(reports.buffered_instances if buffered else reports.instances))


def _chunks(name: str, members: list[Member]) -> Iterator[tuple[str, list[Member]]]:
    for start in range(0, len(members), WIDE_MEMBERS):
        suffix = "" if start == 0 else chr(ord("A") + start // WIDE_MEMBERS)
        yield name + suffix, members[start : start + WIDE_MEMBERS]
