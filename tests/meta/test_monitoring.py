"""Dashboard and alert rules: every metric they ask for is one the console offers."""

import json
import re
from pathlib import Path

import yaml

TOP = Path(__file__).parents[2]
FOLDER = TOP / "src/bridge/projections/web/monitoring"
_NAME = re.compile(r"\bmeterbridge_\w+")


def test_dashboard_and_alerts_ask_for_metrics_that_exist() -> None:
    source = (TOP / "src/bridge/projections/web/metrics.py").read_text()
    offered = set(re.findall(r'GaugeMetricFamily\(\s*"(\w+)"', source))
    offered |= {f"{name}_total" for name in re.findall(r'CounterMetricFamily\(\s*"(\w+)"', source)}
    panels = json.loads((FOLDER / "grafana.json").read_text())["panels"]
    rules = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"][0]["rules"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]] + [rule["expr"] for rule in rules]
    names = {name for expression in asked for name in _NAME.findall(expression)}

    assert len(names) > 10
    assert names - offered == set()
