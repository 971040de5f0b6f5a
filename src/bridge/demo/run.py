"""`meterbridge demo`, put together: simulator, site files, bridge, ready file, table."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from bridge.app.bridge import Bridge
from bridge.app.faces import Face, missing_extra
from bridge.app.main import run_site
from bridge.config.library import demo_dir
from bridge.core.clock import Clock
from bridge.demo.ports import CONTROL_OFFSET, DEFAULT_PORT_BASE, HOST, Offer
from bridge.demo.simulator import SimulatorProcess
from bridge.demo.site import write_atomically, write_site


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """`for_s`: end by itself this many seconds after its start, None = never."""

    state_dir: Path
    port_base: int = DEFAULT_PORT_BASE
    ready_file: Path | None = None
    for_s: float | None = None
    log_level: str = "warning"


Announce = Callable[[Path, Sequence[Offer]], None]


def run_demo(settings: DemoSettings, clock: Clock, announce: Announce) -> None:
    """
    Run until SIGTERM, SIGINT or the end of `for_s`; `announce` is called once every server answers.

    Raises: SimulatorFailed, ConfigErrors, OSError.
    """
    settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if settings.ready_file is not None:
        settings.ready_file.unlink(missing_ok=True)
    control_port = settings.port_base + CONTROL_OFFSET
    source = demo_dir()
    with ExitStack() as stack:
        simulator = SimulatorProcess(source / "site.yaml", control_port, settings.state_dir, clock)
        stack.enter_context(simulator)
        site = write_site(source, settings.state_dir / "site", simulator.endpoints().channels, settings.port_base)

        def ready(bridge: Bridge) -> None:
            if settings.ready_file is not None:
                answer = ready_answer(bridge.pid, bridge.faces, control_port)
                write_atomically(settings.ready_file, msgspec.json.encode(answer).decode())
                stack.callback(settings.ready_file.unlink, missing_ok=True)
            announce(site.parent, offers(bridge.faces, control_port))

        run_site(site, clock, settings.log_level, ready, settings.for_s)


def ready_answer(pid: int, faces: Sequence[Face], control_port: int) -> dict[str, Any]:
    """Return the ready file's content: a fixed interface, see docs/demo.md."""
    servers = {
        face.name: {"host": face.listener.bind, "port": face.listener.port, **face.projected.facts}
        for face in faces
        if not missing_extra(face)
    }
    simulator = {"control": f"http://{HOST}:{control_port}"}
    return {"ready": True, "pid": pid, "servers": servers, "simulator": simulator}


def offers(faces: Sequence[Face], control_port: int) -> list[Offer]:
    """Return what to print."""
    shown = []
    for face in faces:
        at = face.listener
        if lacking := missing_extra(face):
            shown.append(Offer(face.name, "not started", (f"# {lacking}",)))
            continue
        tries = tuple(text.format(host=at.bind, port=at.port) for text in face.projected.tries)
        shown.append(Offer(face.name, f"{at.bind}:{at.port}/{face.projected.transport.value}", tries))
    control = f"http://{HOST}:{control_port}"
    change = f'curl -X PUT {control}/devices/main -d \'{{"fault": "dead"}}\''
    shown.append(Offer("simulator", f"{HOST}:{control_port}/tcp", (f"curl {control}/points", change)))
    return shown
