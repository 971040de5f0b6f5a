"""The artefacts of this projection: the MIB that a station loads."""

from collections.abc import Iterator

from bridge.core.ports import SiteFacts
from bridge.projections.snmp.mib import MODULE, mib_text
from bridge.projections.snmp.plan import Plan


def files(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield (file name, text)."""
    yield f"{MODULE}.mib", mib_text(plan)


def _export_mib(plan: Plan, site: SiteFacts) -> Iterator[tuple[str, str]]:
    del site
    yield from files(plan)


# name of `meterbridge export` -> generator of (file name, text)
EXPORTS = {"mib": _export_mib}
