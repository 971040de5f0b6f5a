"""Which servers a site has, what each shows under which numbers, and who owns which port."""

import importlib
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import cast

import msgspec

from bridge.config.ledger import Ledger, Space
from bridge.config.model import ProjectionFile, SiteConfig
from bridge.config.projection import at_path, convert_mapping
from bridge.config.site import Channel, RtuChannel
from bridge.core.errors import ConfigError, ConfigErrors, ProjectionError
from bridge.core.history import Recorded
from bridge.core.listener import Listener
from bridge.core.ports import ChannelFacts, Numbers, Projected, ProjectionMapping, SiteFacts, Transport
from bridge.core.rules import Rules
from bridge.services.alarm_rules import rules_of, silent_devices, watched_points
from bridge.services.billing import billed
from bridge.workers.worker import WorkerSpec

# Names under `projections:` whose code is not in `bridge.projections`.
GATEWAYS = {"gateway": "bridge.gateway.modbus", "ethergate": "bridge.gateway.ethergate"}


@dataclass(frozen=True, slots=True)
class Face:
    """One server of the site."""

    name: str
    file: ProjectionFile
    projected: Projected

    @property
    def listener(self) -> Listener:
        """The main one."""
        return self.projected.listeners[0]

    def spec(self, state_dir: Path) -> WorkerSpec:
        """Return what the supervisor needs to run it."""
        plan = msgspec.msgpack.encode(self.projected.plan)
        own_dir = str(state_dir / self.name)
        return WorkerSpec(self.name, f"{package_of(self.name)}.server", plan, self.projected.needs, own_dir)


def missing_extra(face: Face) -> str:
    """Return what a server lacks in this installation and how to get it; "" if it can run."""
    extra = face.projected.extra
    if extra is None or importlib.util.find_spec(extra.module) is not None:
        return ""
    return f"needs an extra: pip install 'meterbridge[{extra.name}]'"


def package_of(name: str) -> str:
    """Return the package of a name under `projections:`."""
    return GATEWAYS.get(name, f"bridge.projections.{name}")


def site_facts(config: SiteConfig) -> SiteFacts:
    """Return what projections may know of the site."""
    channels = {name: _channel_facts(channel) for name, channel in config.channels.items() if not channel.off}
    alarms = rules_of(config.services.alarms, config.devices, config.points).rules
    return SiteFacts(
        config.file.site.name,
        config.points,
        config.devices,
        channels,
        recorded=dict(_recorded(config)),
        watched=watched_points(alarms),
        lossy=silent_devices(alarms),
    )


def _recorded(config: SiteConfig) -> Iterator[tuple[int, Recorded]]:
    """
    An index has its load profile, and what the site logs a row a period too; what is recorded of others follows the
    keys of the history.
    """
    history = config.services.history
    profile = Recorded(history.profile_period_s, history.profile_records)
    wanted = {point.index for point in billed(history.billed, config.points)}
    names = {point.name for point in config.points}
    open_ = {one: {n for n in names if fnmatchcase(n, one[2:])} for one in history.logged if one.startswith("*.")}
    keys = Rules(history.record)
    for point in config.points:
        key = keys.find(point.id) if history.record and point.index not in wanted else None
        if key is not None:
            yield point.index, Recorded(key.every_s, int(key.keep_days * 86_400 / key.every_s) if key.every_s else 0)
        elif point.index in wanted or any(
            point.name in open_[one] if one in open_ else fnmatchcase(point.id, one) for one in history.logged
        ):
            yield point.index, profile


def _channel_facts(channel: Channel) -> ChannelFacts:
    kind = str(channel.__struct_config__.tag)
    if not isinstance(channel, RtuChannel):
        return ChannelFacts(kind)
    gateway_port = channel.gateway.tcp if channel.gateway is not None else 0
    return ChannelFacts(kind, gateway_port, channel.ethergate, channel.port)


def load_mapping(name: str) -> ProjectionMapping:
    """Import the pure half of a projection. Raises: ModuleNotFoundError."""
    return cast("ProjectionMapping", importlib.import_module(f"{package_of(name)}.mapping"))


def number_and_project(config: SiteConfig, spaces: Mapping[str, Space]) -> tuple[list[Face], Mapping[str, Space]]:
    """Return the servers and the ledger they make out of the one there was. Raises: ConfigErrors."""
    ledger = Ledger(spaces)
    ledger.rename(config.renamed)
    faces = project_all(config, ledger)
    ledger.finish([face.name for face in faces])
    return faces, ledger.spaces()


def project_all(config: SiteConfig, numbers: Numbers) -> list[Face]:
    """
    Project the site onto every server its file enables.

    Raises: ConfigErrors, every fault of every mapping at once.
    """
    site = site_facts(config)
    faces: list[Face] = []
    faults: list[ConfigError] = []
    for file in config.projections:
        try:
            faces.append(_project(file, site, numbers))
        except ConfigErrors as exc:
            faults.extend(exc.errors)
    faults.extend(collisions(faces))
    if faults:
        raise ConfigErrors(faults)
    return faces


def mapping_faults(files: Iterable[ProjectionFile]) -> list[ConfigError]:
    """Return what is wrong with mappings whatever the site is: for a site that cannot be projected itself."""
    faults: list[ConfigError] = []
    for file in files:
        try:
            faults.extend(convert_mapping(file, load_mapping(file.protocol).Mapping)[1])
        except ModuleNotFoundError:
            continue
    return faults


def collisions(faces: Iterable[Face]) -> list[ConfigError]:
    """Return a fault for every port that two servers want (X-08: the owner is named)."""
    owners: dict[tuple[Transport, int], list[tuple[str, str]]] = {}
    faults: list[ConfigError] = []
    for face in faces:
        for listener in face.projected.listeners:
            if listener.port == 0:
                continue
            taken = owners.setdefault((face.projected.transport, listener.port), [])
            for owner, bind in taken:
                if _overlap(bind, listener.bind):
                    line, column = face.file.marked.where(("listener", "port"))
                    message = f"expected a port of its own, found {listener.port} which {owner} has on {bind}"
                    faults.append(ConfigError(str(face.file.path), line, column, "listener.port", message))
            taken.append((face.name, listener.bind))
    return faults


def _project(file: ProjectionFile, site: SiteFacts, numbers: Numbers) -> Face:
    try:
        module = load_mapping(file.protocol)
    except ModuleNotFoundError as exc:
        message = f"expected a protocol this installation has, found {file.protocol} ({exc})"
        raise ConfigErrors([ConfigError(str(file.path), 1, 1, file.protocol, message)]) from exc
    _beside(file)
    mapping, faults = convert_mapping(file, module.Mapping)
    if mapping is None:
        raise ConfigErrors(faults)
    try:
        return Face(file.protocol, file, module.project(mapping, site, numbers))
    except ProjectionError as exc:
        raise ConfigErrors([at_path(exc, file)]) from exc


def _beside(file: ProjectionFile) -> None:
    """Take the TLS files that a mapping names for files beside it: the worker runs in another folder."""
    data = file.marked.data if isinstance(file.marked.data, dict) else {}
    for listener in data.values():
        tls = listener.get("tls") if isinstance(listener, dict) else None
        for key in ("certificate", "key", "client_ca", "client_crl"):
            if isinstance(tls, dict) and isinstance(tls.get(key), str) and tls[key]:
                tls[key] = str(file.path.parent.absolute() / tls[key])


def _overlap(one: str, other: str) -> bool:
    everywhere = {"0.0.0.0", "::", ""}
    return one == other or one in everywhere or other in everywhere
