"""`meterbridge wipe`: everything a bridge knows, removed at the end of its life."""

import sys
from typing import Annotated

import typer

from bridge.app.wipe import Keep, Wiped, WipeError
from bridge.app.wipe import wipe as wipe_site
from bridge.cli.options import Site
from bridge.cli.output import complain, reporting, say
from bridge.config.load import load_site
from bridge.config.model import SiteConfig
from bridge.control.client import ControlClient
from bridge.control.protocol import ControlError


def wipe(
    site: Site,
    confirm: Annotated[str, typer.Option(help="the name of the site, in the place of the question")] = "",
    keep_configuration: Annotated[
        bool, typer.Option("--keep-configuration", help="leave site.yaml and the files beside it")
    ] = False,
) -> None:
    """Overwrite and remove configuration, files, certificates, CID, users, logs and energies. There is no way back."""
    with reporting():
        config = load_site(site)
        name = config.file.site.name
        _refuse_if_running(config)
        if not confirm and sys.stdin.isatty():
            complain(f"everything that {config.state_dir} and the site know will be gone for good")
            confirm = input(f"the name of the site ({name}) to go on: ")
        if confirm != name:
            raise WipeError(f"nothing was removed: expected --confirm with the name of the site, {name}")
        for step in wipe_site(config, site, Keep.CONFIGURATION if keep_configuration else Keep.NOTHING):
            say(_line(step))


def _refuse_if_running(config: SiteConfig) -> None:
    try:
        with ControlClient(config.state_dir):
            pass
    except ControlError:
        return
    raise WipeError("nothing was removed: a bridge runs with this state directory; stop it first")


def _line(step: Wiped) -> str:
    return f"{step.step.value}: {step.files} files, {step.size} bytes"
