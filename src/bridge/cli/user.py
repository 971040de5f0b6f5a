"""`meterbridge user`: who may log in to the servers of a bridge that have users."""

import getpass
import sys
from typing import Annotated

import typer

from bridge.app.command_side import record_offline
from bridge.cli.options import Json, Site
from bridge.cli.output import complain, form, reporting, show
from bridge.commands.policy import WritePolicy
from bridge.commands.users import UserError, UserFile
from bridge.config.load import load_site
from bridge.config.model import SiteConfig
from bridge.control.client import ControlClient
from bridge.control.protocol import ControlError
from bridge.core.clock import SystemClock
from bridge.core.secret import Secret

Name = Annotated[str, typer.Argument(help="name of the user")]

app = typer.Typer(name="user", help="Users of the bridge's servers, and their roles.", no_args_is_help=True)


@app.command("add")
def add(
    site: Site, name: Name, role: Annotated[str, typer.Option(help="such as viewer, operator, technician")]
) -> None:
    """Add a user; the password is asked for, or read from standard input."""
    with reporting():
        config = load_site(site)
        if not WritePolicy(config.access).roles.knows(role):
            raise UserError(f"expected a role of the site, found {role}")
        minimum = config.access.passwords.min_length
        UserFile(config.state_dir).add(name, role, _new_password(), minimum)
        record(config, "user", f"added as {role}", name)


@app.command("passwd")
def passwd(site: Site, name: Name) -> None:
    """Give a user a new password; it is asked for, or read from standard input."""
    with reporting():
        config = load_site(site)
        UserFile(config.state_dir).set_password(name, _new_password(), config.access.passwords.min_length)
        record(config, "user", "password changed", name)


@app.command("lock")
def lock(site: Site, name: Name) -> None:
    """Let a user in no more, from this moment on."""
    with reporting():
        config = load_site(site)
        UserFile(config.state_dir).set_locked(name, locked=True)
        record(config, "user", "locked", name)


@app.command("unlock")
def unlock(site: Site, name: Name) -> None:
    """Let a locked user in again."""
    with reporting():
        config = load_site(site)
        UserFile(config.state_dir).set_locked(name, locked=False)
        record(config, "user", "unlocked", name)


@app.command("remove")
def remove(site: Site, name: Name) -> None:
    """Forget a user."""
    with reporting():
        config = load_site(site)
        UserFile(config.state_dir).remove(name)
        record(config, "user", "removed", name)


@app.command("list")
def list_users(site: Site, json: Json = False) -> None:
    """Show the users, their roles, and who is locked."""
    with reporting():
        users = UserFile(load_site(site).state_dir).read().users
        rows = [{"name": name, "role": user.role, "locked": user.locked} for name, user in users.items()]
        show(rows, ("name", "role", "locked"), "", form(json))


def _new_password() -> Secret:
    """Raises: UserError."""
    if not sys.stdin.isatty():
        return Secret(sys.stdin.readline().rstrip("\n"))
    password = Secret(getpass.getpass("New password: "))
    if Secret(getpass.getpass("Once more: ")) != password:
        raise UserError("the two are not the same")
    return password


def record(config: SiteConfig, kind: str, action: str, target: str) -> None:
    """Have a change recorded: a running bridge keeps the audit, without one we write it ourselves."""
    try:
        with ControlClient(config.state_dir) as bridge:
            bridge.ask("done_locally", kind=kind, action=action, target=target)
    except ControlError:
        try:
            record_offline(config, kind, action, target, getpass.getuser(), SystemClock())
        except OSError as exc:
            complain(f"the audit has no record of it: {exc}")
