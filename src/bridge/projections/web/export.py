"""What a monitoring system takes over: alert rules for Prometheus and a dashboard for Grafana, as they are shipped."""

from collections.abc import Iterable
from importlib.resources import files

from bridge.core.ports import SiteFacts
from bridge.projections.web.mapping import Plan

_FOLDER = files("bridge.projections.web") / "monitoring"


def _export_monitoring(plan: Plan, site: SiteFacts) -> Iterable[tuple[str, str]]:
    """The rules are the same for every site: meters, servers and lines are labels of the metrics."""
    del plan, site
    yield "prometheus-alerts.yaml", (_FOLDER / "alerts.yaml").read_text(encoding="utf-8")
    yield "grafana-dashboard.json", (_FOLDER / "grafana.json").read_text(encoding="utf-8")


EXPORTS = {"monitoring": _export_monitoring}
