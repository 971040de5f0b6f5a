"""The files an engineer takes into a system tool, generated from the plan that is served."""

from collections.abc import Iterable

from bridge.core.ports import SiteFacts
from bridge.projections.iec61850.cid import cid, icd
from bridge.projections.iec61850.plan import Meter, Plan
from bridge.projections.iec61850.source import MODEL_REVISION


def _export_cid(plan: Plan, site: SiteFacts) -> Iterable[tuple[str, str]]:
    """The CID of the whole bridge; put into `cid_dir`, edited or not, it is what the bridge serves."""
    del site
    yield f"{plan.ied}.cid", cid(plan, MODEL_REVISION).decode()


def _export_icd(plan: Plan, site: SiteFacts) -> Iterable[tuple[str, str]]:
    """One capability file per meter model: the first meter of each stands for it."""
    del site
    models: dict[str, Meter] = {}
    for meter in plan.meters:
        models.setdefault(meter.meter, meter)
    for name, meter in models.items():
        yield f"{name}.icd", icd(plan, meter, MODEL_REVISION).decode()


def files(plan: Plan) -> Iterable[tuple[str, str]]:
    """Yield (file name, text) of the CID and of every ICD."""
    nowhere = SiteFacts("", (), ())
    yield from _export_cid(plan, nowhere)
    yield from _export_icd(plan, nowhere)


# name of `meterbridge export` -> generator of (file name, text)
EXPORTS = {"cid": _export_cid, "icd": _export_icd}
