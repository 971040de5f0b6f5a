"""`meterbridge points`, `read`, `write` and `status`: what a running bridge holds and does."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.app.gateway_traffic import traffic_rows
from bridge.cli.options import Json, Site
from bridge.cli.output import Exit, complain, form, reporting, show, show_json, stop
from bridge.config.load import load_site
from bridge.control.client import ControlClient

_COLUMNS = ("point", "value", "unit", "quality", "time", "age_s")


def connect(site: Path) -> ControlClient:
    """Open the control socket of the bridge that runs SITE. Raises: ControlError, ConfigError."""
    return ControlClient(load_site(site).state_dir)


def status(site: Site, json: Json = False) -> None:
    """Show the servers, channels and devices of the running bridge."""
    with reporting(), connect(site) as bridge:
        answer = bridge.ask("status")
        if json:
            show_json(answer)
            return
        show(answer["servers"], ("name", "state", "address", "pid", "starts", "last_end"), "Servers", form(json))
        show(answer["channels"], ("name", "kind", "state", "requests", "timeouts", "bad"), "Channels", form(json))
        columns = ("name", "state", "requests", "timeouts", "exceptions", "response_ms", "last_error")
        show(answer["devices"], columns, "Devices", form(json))


def health(site: Site, json: Json = False) -> None:
    """Exit 0 when every server of the running bridge answers its own probe, 1 when one does not or no bridge runs."""
    with reporting():
        with connect(site) as bridge:
            answer = bridge.ask("status")
        silent = [f"{row['name']}: {row['state']}" for row in answer["servers"] if not row["answering"]]
        if json:
            show_json({"healthy": not silent, "silent": silent})
        for line in silent:
            complain(line)
        if silent or not answer["ready"]:
            stop(Exit.FAILED)


def points(
    site: Site,
    live: Annotated[bool, typer.Option("--live", help="with the values of the running bridge")] = False,
    device: Annotated[str, typer.Option(help="only this device")] = "",
    json: Json = False,
) -> None:
    """List the points of SITE."""
    with reporting():
        if live:
            with connect(site) as bridge:
                rows = bridge.ask("points", device=device)
            show([_timed(row) for row in rows], _COLUMNS, "Points", form(json))
            return
        defined = [p for p in load_site(site).points if device in ("", p.device)]
        table = [
            {"point": p.id, "kind": p.kind.value, "unit": p.unit, "label": p.label, "declared_at": p.declared_at}
            for p in defined
        ]
        show(table, ("point", "kind", "unit", "label", "declared_at"), "Points", form(json))


def read(
    site: Site,
    point: Annotated[list[str], typer.Argument(help="device.point, several allowed")],
    json: Json = False,
) -> None:
    """Read points of the running bridge; the exit status is 1 when one of them is not good."""
    with reporting():
        with connect(site) as bridge:
            rows = [bridge.ask("read", point=name) for name in point]
        show([_timed(row) for row in rows], _COLUMNS, "", form(json))
        if any(row["quality"] != "good" for row in rows):
            stop(Exit.FAILED)


def write(
    site: Site,
    point: Annotated[str, typer.Argument(help="device.point")],
    value: Annotated[str, typer.Argument(help="the value, in the unit of the point")],
) -> None:
    """Write a point through the write policy of the running bridge."""
    with reporting():
        with connect(site) as bridge:
            outcome = bridge.ask("write", point=point, value=value)
        if outcome["outcome"] != "done":
            complain(
                f"{point}: {outcome['outcome']}" + (f" {outcome['device_code']}" if outcome["device_code"] else "")
            )
            stop(Exit.FAILED)


def traffic(
    site: Site,
    device: Annotated[str, typer.Option(help="only this device")] = "",
    json: Json = False,
) -> None:
    """Show who reads what through the gateway, the busiest first; up to 10 s old."""
    with reporting():
        rows = [row for row in traffic_rows(load_site(site)) if device in ("", row["device"])]
        columns = ("client", "device", "channel", "unit", "function", "address", "count", "requests", "failed", "last")
        show([row | {"last": _utc_text(row["last_utc_ns"])} for row in rows], columns, "Gateway", form(json))


def _timed(row: dict[str, Any]) -> dict[str, Any]:
    """Add the source time as text."""
    return row | {"time": _utc_text(row["source_ns"])}


def _utc_text(at_ns: int) -> str:
    """Return a time as text, whole seconds; "" for never."""
    stamp = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).isoformat() if at_ns else ""
    return stamp.replace("+00:00", "Z")
