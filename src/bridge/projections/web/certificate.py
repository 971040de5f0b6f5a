"""The certificate of the console: one that a user has given it, else one of its own making; in its state folder."""

import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bridge.core.listener import Tls

# Browsers refuse certificates that are valid for longer (825 days, Apple and Chromium).
_DAYS = 820
# A certificate that ends sooner is made anew.
_RENEW_DAYS = 30


def own_certificate(folder: Path, names: tuple[str, ...], now_ns: int) -> Tls:
    """Return the files of the certificate; make them when there are none, or they end soon. Raises: OSError."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    now = datetime.fromtimestamp(now_ns / 1e9, UTC)
    if not (key.exists() and _lasts(certificate, now + timedelta(days=_RENEW_DAYS))):
        _make(certificate, key, names, now)
    return Tls(certificate=str(certificate), key=str(key))


def given_certificate(folder: Path, now_ns: int) -> Tls | None:
    """Return the files that the core has put here for a user (`bridge.app.orders`), if there are any in time."""
    certificate, key = folder / "installed.pem", folder / "installed.key"
    if key.exists() and _lasts(certificate, datetime.fromtimestamp(now_ns / 1e9, UTC)):
        return Tls(certificate=str(certificate), key=str(key))
    return None


@dataclass(frozen=True, slots=True)
class Shown:
    """What a person compares. `fingerprint`: SHA-256. `is_own`: signed by itself."""

    subject: str
    issuer: str
    names: str
    begins: str
    ends: str
    fingerprint: str
    is_own: bool


def shown_of(tls: Tls) -> Shown:
    """Return what stands in the certificate of a listener. Raises: OSError, ValueError."""
    found = x509.load_pem_x509_certificate(Path(tls.certificate).read_bytes())
    try:
        named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = ", ".join(str(name.value) for name in named)
    except x509.ExtensionNotFound:
        names = ""
    return Shown(
        subject=found.subject.rfc4514_string(),
        issuer=found.issuer.rfc4514_string(),
        names=names,
        begins=f"{found.not_valid_before_utc:%Y-%m-%d}",
        ends=f"{found.not_valid_after_utc:%Y-%m-%d}",
        fingerprint=found.fingerprint(hashes.SHA256()).hex(":"),
        is_own=found.issuer == found.subject,
    )


def _lasts(path: Path, until: datetime) -> bool:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc > until
    except (FileNotFoundError, ValueError):
        return False


def _make(certificate: Path, key: Path, names: tuple[str, ...], now: datetime) -> None:
    secret = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "meterbridge console")])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(secret, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    descriptor = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    certificate.write_bytes(made.public_bytes(pem))


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
