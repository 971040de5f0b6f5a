"""`meterbridge tls`: certificates for the servers of a site."""

from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.app.certificates import CA, CERTIFICATE, Facts, TlsError, TlsFolder
from bridge.app.revocation import CRL, begin
from bridge.app.revocation import revoke as revoke_certificate
from bridge.app.trust import Client, TrustList
from bridge.cli.options import Json, Site
from bridge.cli.output import form, reporting, say, show
from bridge.cli.user import record
from bridge.config.load import load_site
from bridge.config.model import SiteConfig
from bridge.core.clock import SystemClock

Names = Annotated[list[str], typer.Option("--name", help="host name or address of the bridge, several allowed")]
COLUMNS = ("file", "subject", "issuer", "names", "not_after", "days_left", "fingerprint")
CLIENT_COLUMNS = ("state", "thumbprint", "subject", "uris", "not_after")

app = typer.Typer(name="tls", help="Certificates for the servers that speak TLS.", no_args_is_help=True)


def _folder(config: SiteConfig) -> TlsFolder:
    return TlsFolder(config.state_dir, SystemClock().utc_ns())


@app.command("init")
def init(site: Site, name: Names) -> None:
    """Make an authority of the site's own and a certificate of it for the bridge."""
    with reporting():
        config = load_site(site)
        folder = _folder(config)
        facts = folder.init(config.file.site.name, name)
        begin(folder, SystemClock().utc_ns())
        record(config, "tls", "made", facts.fingerprint)
        _explain(facts)


@app.command("csr")
def csr(site: Site, name: Names) -> None:
    """Make a key and a request for another authority; the certificate in use stays until `install`."""
    with reporting():
        config = load_site(site)
        say(f"have {_folder(config).request(name)} signed, then: meterbridge tls install SITE CERTIFICATE")
        record(config, "tls", "requested", ", ".join(name))


@app.command("install")
def install(
    site: Site,
    certificate: Annotated[Path, typer.Argument(help="PEM, the server's certificate first, then its chain")],
    key: Annotated[Path | None, typer.Option(help="PEM; left out: the key of the last `csr`")] = None,
) -> None:
    """Put a certificate in the place of the one in use, after checking it."""
    with reporting():
        config = load_site(site)
        facts = _folder(config).install(certificate, key)
        record(config, "tls", "installed", facts.fingerprint)
        _explain(facts)


@app.command("client")
def client(site: Site, user: Annotated[str, typer.Argument(help="the user the client is known as")]) -> None:
    """Make a client certificate by the site's own authority."""
    with reporting():
        config = load_site(site)
        certificate, key = _folder(config).client(user)
        record(config, "tls", "client made", user)
        say(f"{certificate}\n{key}")


@app.command("revoke")
def revoke(
    site: Site,
    user: Annotated[str, typer.Argument(help="the user of `tls client`")] = "",
    certificate: Annotated[
        Path | None, typer.Option(help="a certificate of the site's authority, in its place")
    ] = None,
) -> None:
    """Make a client certificate count no more; servers that name the list as `client_crl` follow within a second."""
    with reporting():
        config = load_site(site)
        folder, now_ns = _folder(config), SystemClock().utc_ns()
        if bool(user) == (certificate is not None):
            raise TlsError("expected a user or --certificate")
        path = certificate or folder.path / f"client-{user}.pem"
        fingerprint = revoke_certificate(folder, path, now_ns)
        record(config, "tls", "revoked", f"{user} {fingerprint}".strip())
        say(f"{path}: revoked in {folder.path / CRL}")


@app.command("show")
def show_tls(site: Site, json: Json = False) -> None:
    """Show the certificates of the site: names, end, fingerprint."""
    with reporting():
        folder = _folder(load_site(site))
        rows = [_row(folder.show(name)) for name in (CERTIFICATE, CA) if (folder.path / name).exists()]
        show(rows, COLUMNS, "", form(json))


@app.command("trust")
def trust(
    site: Site,
    what: Annotated[str, typer.Argument(help="beginning of a thumbprint, or a file; left out: show them all")] = "",
    json: Json = False,
) -> None:
    """Let an OPC UA client in that was turned away; the server knows at once."""
    with reporting():
        config = load_site(site)
        known = TrustList(config.state_dir)
        if not what:
            show([_client_row(one) for one in known.clients()], CLIENT_COLUMNS, "", form(json))
            return
        client = known.trust(what)
        record(config, "tls", "trusted", client.thumbprint)
        say(f"{client.thumbprint}: {client.subject} may come in")


@app.command("distrust")
def distrust(site: Site, what: Annotated[str, typer.Argument(help="beginning of a thumbprint")]) -> None:
    """Let an OPC UA client open no more channels; one it has already stays until it closes."""
    with reporting():
        config = load_site(site)
        client = TrustList(config.state_dir).distrust(what)
        record(config, "tls", "distrusted", client.thumbprint)
        say(f"{client.thumbprint}: {client.subject} may come in no more")


def _client_row(client: Client) -> dict[str, Any]:
    return {
        "state": client.state,
        "thumbprint": client.thumbprint,
        "subject": client.subject,
        "uris": ", ".join(client.uris),
        "not_after": f"{client.not_after:%Y-%m-%d}",
    }


def _row(facts: Facts) -> dict[str, Any]:
    row = {name: getattr(facts, name) for name in COLUMNS}
    return row | {"names": ", ".join(facts.names), "not_after": f"{facts.not_after:%Y-%m-%d}"}


def _explain(facts: Facts) -> None:
    say(f"{facts.file}: {facts.subject}, until {facts.not_after:%Y-%m-%d}, SHA-256 {facts.fingerprint}")
    say("in a mapping: listener: {tls: {certificate: <state_dir>/tls/server.pem, key: <state_dir>/tls/server.key}}")
    say("servers take it over with their next start (meterbridge reload starts those whose mapping changed)")
