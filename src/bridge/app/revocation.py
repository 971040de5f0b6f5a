"""Certificates that count no more: the list of them that the site's own authority signs, and lists of others."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bridge.app.certificates import CA, CA_KEY, TlsError, TlsFolder, load_certificates, load_key
from bridge.commands.resets import write_whole

# Name of the file in the TLS folder
CRL = "crl.pem"
# As long as the authority: nobody renews it in a plant, and an outdated list turns everybody away
CRL_DAYS = 3650
# Clocks of a plant differ
_BEFORE = timedelta(days=1)


def revoke(folder: TlsFolder, certificate: Path, utc_ns: int) -> str:
    """
    Put a certificate of the site's authority on its list; return its fingerprint. Raises: TlsError.

    A user name leads to one certificate: the one made last. Older ones of that user are revoked by their files.
    """
    found = load_certificates(certificate)[0]
    authority = load_certificates(folder.path / CA)[0]
    if found.issuer != authority.subject:
        raise TlsError(f"{certificate}: expected a certificate of {authority.subject.rfc4514_string()}")
    known = _revoked(folder.path / CRL)
    known.setdefault(found.serial_number, _utc(utc_ns))
    _write(folder, known, utc_ns)
    return found.fingerprint(hashes.SHA256()).hex(":")


def begin(folder: TlsFolder, utc_ns: int) -> None:
    """Make an empty list unless there is one, so that a mapping can name it from the start. Raises: TlsError."""
    if not (folder.path / CRL).exists():
        _write(folder, {}, utc_ns)


def check_list(path: Path, authority: Path, now: datetime) -> int:
    """
    Return how many certificates stand in a list that a server can use: of the authority, and not outdated.

    Raises: TlsError.
    """
    found = load_list(path)
    keys = [certificate.public_key() for certificate in load_certificates(authority)]
    if not any(found.is_signature_valid(key) for key in keys):  # type: ignore[arg-type] # no common type of keys
        raise TlsError(f"{path}: expected a list signed by {authority}, found one of {found.issuer.rfc4514_string()}")
    until = found.next_update_utc
    if until is not None and until <= now:
        raise TlsError(f"{path}: expected a list in time, found one that ended {until:%Y-%m-%d}")
    return len(found)


def load_list(path: Path) -> x509.CertificateRevocationList:
    """Raises: TlsError."""
    try:
        return x509.load_pem_x509_crl(path.read_bytes())
    except OSError as exc:
        raise TlsError(f"{path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise TlsError(f"{path}: expected a list of revoked certificates in PEM, found something else") from exc


def _revoked(path: Path) -> dict[int, datetime]:
    """Return serial number -> when it was revoked."""
    if not path.exists():
        return {}
    return {entry.serial_number: entry.revocation_date_utc for entry in load_list(path)}


def _write(folder: TlsFolder, revoked: dict[int, datetime], utc_ns: int) -> None:
    authority, key = load_certificates(folder.path / CA)[0], load_key(folder.path / CA_KEY)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    now = _utc(utc_ns)
    built = x509.CertificateRevocationListBuilder().issuer_name(authority.subject)
    built = built.last_update(now - _BEFORE).next_update(now + timedelta(days=CRL_DAYS))
    built = built.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    # RFC 5280, 5.2.3: ever larger
    built = built.add_extension(x509.CRLNumber(utc_ns // 1_000_000_000), critical=False)
    for serial, at in revoked.items():
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
        built = built.add_revoked_certificate(entry)
    path = folder.path / CRL
    try:
        write_whole(path, built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    except OSError as exc:
        raise TlsError(f"{path}: {exc.strerror}") from exc


def _utc(utc_ns: int) -> datetime:
    return datetime.fromtimestamp(utc_ns // 1_000_000_000, UTC)
