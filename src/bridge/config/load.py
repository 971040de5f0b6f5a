"""Load a site: site.yaml, the meter files and the projection files of it, checked against one another."""

from collections.abc import Mapping
from pathlib import Path as FilePath

from bridge.config import library as shipped
from bridge.config.access_check import check_access
from bridge.config.alarms import check_alarms
from bridge.config.channels import check_channels
from bridge.config.derived import with_derived
from bridge.config.devices import Devices, periods_ns
from bridge.config.faults import Faults, unique
from bridge.config.marked import Marked
from bridge.config.meters import Library
from bridge.config.min_max import min_max
from bridge.config.model import FieldDevice, Formula, ProjectionFile, SiteConfig
from bridge.config.names import check_names, protocols, renamed
from bridge.config.own_points import with_own_points
from bridge.config.partial import partial
from bridge.config.resolve import MeterFacts, meter_facts
from bridge.config.services_check import check_services
from bridge.config.site import SiteFile
from bridge.config.vocabulary import PERIODS_NS
from bridge.config.words import near
from bridge.config.yaml_marks import read_file
from bridge.core.errors import ConfigError, ConfigErrors

SITE_FILE = "site.yaml"


def load_site(path: FilePath, library: FilePath | None = None) -> SiteConfig:
    """
    Return the validated configuration of a site. `path`: site.yaml or its folder. `library`: another folder of meter
    files than the shipped one.

    Raises: ConfigErrors with every mistake of every file.
    """
    site_path = path / SITE_FILE if path.is_dir() else path
    directory = site_path.parent
    marked = read_file(site_path)
    faults = Faults()
    projections = _projections(marked, directory, faults)
    file = faults.convert(marked, SiteFile)
    meters = _library(marked, directory, library, faults) if isinstance(marked.data, dict) else None
    if faults.errors and meters is not None:
        _check_meters_named(marked, meters, faults)
    if file is None or meters is None:
        faults.raise_if_any()
        raise AssertionError("a file that does not convert has mistakes")
    check_names(marked, file, faults)
    check_channels(marked, file, faults)
    field = _devices(marked, file, meters, faults)
    formulas: tuple[Formula, ...] = ()
    if not faults.errors:
        # without all meters every formula would seem wrong, and every rule would seem to match nothing
        field, formulas = with_derived(field, marked, file, faults)
        for wish in (min_max(file.services.min_max), partial(file.services.partial)):
            field = with_own_points(field, wish, marked, faults)
    if not faults.errors:
        check_alarms(file.services, field, marked, faults)
        check_services(file.services, field, directory, marked, faults)
        check_access(marked, file.access, file.channels, field, faults)
    faults.raise_if_any()
    return SiteConfig(
        file=file,
        marked=marked,
        directory=directory,
        state_dir=(directory / file.site.state_dir).resolve(),
        channels=file.channels,
        field=field,
        projections=projections,
        services=file.services,
        access=file.access,
        formulas=formulas,
        warnings=tuple(faults.warnings),
        renamed=renamed(file),
    )


def projection_files(path: FilePath) -> tuple[ProjectionFile, ...]:
    """Return the projection files that can be read even if the site is wrong: for telling their mistakes as well."""
    site_path = path / SITE_FILE if path.is_dir() else path
    try:
        return _projections(read_file(site_path), site_path.parent, Faults())
    except ConfigErrors:
        return ()


def check_meters(folder: FilePath) -> list[ConfigError]:
    """Return every mistake of every meter file of a folder."""
    return unique([error for path in sorted(folder.glob("*.yaml")) for error in check_meter(path)])


def check_meter(path: FilePath) -> list[ConfigError]:
    """Return every mistake of one meter file, and of what it extends."""
    faults = Faults()
    meter = Library([path.parent], faults).get(path.stem, Marked(str(path)), ())
    if meter is not None:
        meter_facts(meter, faults)
    return unique(faults.errors)


def _library(marked: Marked, directory: FilePath, library: FilePath | None, faults: Faults) -> Library:
    own: list[FilePath] = []
    site = marked.data.get("site")
    folders = site.get("meters") if isinstance(site, dict) else None
    for i, folder in enumerate(folders if isinstance(folders, list) else []):
        if not isinstance(folder, str):
            continue
        place = directory / folder
        if not place.is_dir():
            faults.at(marked, ("site", "meters", i), f"expected a folder of meter files, found no folder `{folder}`")
        own.append(place)
    return Library([*own, library or shipped.library_dir()], faults)


def _check_meters_named(marked: Marked, meters: Library, faults: Faults) -> None:
    """Tell the mistakes of the meter files too when site.yaml itself is not whole."""
    devices = marked.data.get("devices")
    if not isinstance(devices, dict):
        return
    seen: set[str] = set()
    for id_, device in devices.items():
        name = device.get("meter") if isinstance(device, dict) else None
        if isinstance(name, str) and name not in seen:
            seen.add(name)
            meter = meters.get(name, marked, ("devices", id_, "meter"))
            if meter is not None:
                meter_facts(meter, faults)


def _devices(marked: Marked, file: SiteFile, library: Library, faults: Faults) -> tuple[FieldDevice, ...]:
    periods = periods_ns(marked, ("poll",), file.poll, PERIODS_NS, faults)
    factory = Devices(marked, faults, periods)
    resolved: dict[str, MeterFacts] = {}
    made: list[FieldDevice] = []
    for id_, device in file.devices.items():
        meter = library.get(device.meter, marked, ("devices", id_, "meter"))
        if meter is None:
            continue
        if device.meter not in resolved:
            resolved[device.meter] = meter_facts(meter, faults)
        built = factory.make(id_, device, resolved[device.meter], file.channels.get(device.channel))
        if built is not None:
            made.append(built)
    return tuple(made)


def _projections(marked: Marked, directory: FilePath, faults: Faults) -> tuple[ProjectionFile, ...]:
    """Read the projection files; what they say is checked by the projections themselves."""
    listed = marked.data.get("projections") if isinstance(marked.data, dict) else None
    found: list[ProjectionFile] = []
    known = protocols()
    for protocol, name in (listed if isinstance(listed, Mapping) else {}).items():
        if protocol not in known:
            hint = near(str(protocol), known)
            message = f"expected a protocol, found `{protocol}`{hint}"
            faults.at(marked, ("projections", protocol), message)
        if not isinstance(name, str):
            continue
        path = directory / name
        if not path.is_file():
            faults.at(marked, ("projections", protocol), f"expected a file beside site.yaml, found no file `{name}`")
            continue
        try:
            found.append(ProjectionFile(str(protocol), path, read_file(path)))
        except ConfigErrors as exc:
            faults.errors += exc.errors
    return tuple(found)
