"""The demo site as files of its own: the shipped mappings with the simulator's lines and the demo's ports put in."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bridge.config.ledger_file import LEDGER_FILE
from bridge.config.yaml_marks import read
from bridge.demo.ports import HOST, PORT_OFFSETS
from bridge.simulator.simulation import PtyEndpoint, TcpEndpoint

_HEADER = "# Written by `meterbridge demo` from the shipped demo site; the next start writes it anew.\n"


def write_site(source: Path, target: Path, endpoints: Mapping[str, PtyEndpoint | TcpEndpoint], port_base: int) -> Path:
    """
    Write the site of `source` into `target`, its state directory being the folder above; return its site.yaml.

    Its numbers are those of the shipped ledger, from start to start and from machine to machine.
    Raises: ConfigErrors, OSError.
    """
    target.mkdir(parents=True, exist_ok=True)
    site = _load(source / "site.yaml")
    site["site"]["state_dir"] = ".."
    for name, channel in site["channels"].items():
        _connect(channel, endpoints[name])
    for protocol, file_name in site.get("projections", {}).items():
        mapping = _load(source / file_name)
        mapping["listener"] = {**mapping.get("listener", {}), "bind": HOST, "port": port_base + PORT_OFFSETS[protocol]}
        _save(target / file_name, mapping)
    _save(target / "site.yaml", site)
    (target / LEDGER_FILE).unlink(missing_ok=True)
    if (source / LEDGER_FILE).exists():
        shutil.copyfile(source / LEDGER_FILE, target / LEDGER_FILE)
    return target / "site.yaml"


def _connect(channel: dict[str, Any], endpoint: PtyEndpoint | TcpEndpoint) -> None:
    if isinstance(endpoint, PtyEndpoint):
        # a pseudo-terminal takes no parity
        channel["port"], channel["framing"] = endpoint.path, "8N1"
    else:
        channel["host"], channel["port"] = endpoint.host, endpoint.port


def _load(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = read(path.read_text(encoding="utf-8"), str(path)).data
    return data


def _save(path: Path, data: dict[str, Any]) -> None:
    write_atomically(path, _HEADER + yaml.safe_dump(data, sort_keys=False, allow_unicode=True))


def write_atomically(path: Path, text: str) -> None:
    """Write a file that no reader ever sees half."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
