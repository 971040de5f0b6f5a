"""
The folder of certificates below the state directory: pure file work, no protocol library.

    pki/own/certificate.der  key.pem     the server's own, made at the first start
    pki/trusted/*.der                    clients that may come in, or authorities that vouch for them
    pki/rejected/*.der                   the last ones that were turned away, for `meterbridge tls trust`
"""

import hashlib
import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Rejected certificates kept, the newest; a certificate is at most so many bytes.
REJECTED_MOST, CERTIFICATE_MOST = 20, 16_384
_KEY_BITS = 2048
_DAYS = 3650


def thumbprint(der: bytes) -> str:
    """SHA-1, as OPC UA names certificates (OPC 10000-6, 6.2.3)."""
    return hashlib.sha1(der, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Pki:
    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "own" / "certificate.der"

    @property
    def key(self) -> Path:
        return self.folder / "own" / "key.pem"

    @property
    def trusted(self) -> Path:
        return self.folder / "trusted"

    @property
    def rejected(self) -> Path:
        return self.folder / "rejected"

    def prepare(self) -> None:
        """Make the folders. Raises: OSError."""
        for path in (self.certificate.parent, self.trusted, self.rejected):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def reject(self, der: bytes) -> None:
        """Keep a certificate for the operator to look at. Raises: OSError."""
        path = self.rejected / f"{thumbprint(der)}.der"
        if len(der) > CERTIFICATE_MOST or path.exists():
            return
        kept = sorted(self.rejected.glob("*.der"), key=lambda found: found.stat().st_mtime)
        for old in kept[: max(0, len(kept) - REJECTED_MOST + 1)]:
            old.unlink(missing_ok=True)
        path.write_bytes(der)

    def is_trusted(self, der: bytes) -> bool:
        """
        Tell whether the certificate is in `trusted`, or signed by an authority that is.

        Raises: OSError; ValueError for bytes that are no certificate.
        """
        certificate = x509.load_der_x509_certificate(der)
        for path in self.trusted.iterdir():
            if path.suffix not in (".der", ".pem", ".crt", ".cer") or path.stat().st_size > CERTIFICATE_MOST:
                continue
            try:
                known = load(path.read_bytes())
            except ValueError:
                continue
            if known.fingerprint(hashes.SHA256()) == certificate.fingerprint(hashes.SHA256()):
                return True
            if _may_sign(known) and _signed_by(certificate, known):
                return True
        return False


def load(data: bytes) -> x509.Certificate:
    """Raises: ValueError."""
    if data.startswith(b"-----"):
        return x509.load_pem_x509_certificate(data)
    return x509.load_der_x509_certificate(data)


def uris_of(der: bytes) -> list[str]:
    """Return what applications the certificate names (OPC 10000-6, 6.2.2). Raises: ValueError."""
    try:
        names = load(der).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def make_own(pki: Pki, uri: str, name: str, hosts: tuple[str, ...], now: datetime) -> None:
    """Write a key and a certificate for the server itself, unless they are there. Raises: OSError."""
    if pki.certificate.exists() and pki.key.exists():
        return
    key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri), *(_general_name(host) for host in hosts)]
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    descriptor = os.open(pki.key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret)
    pki.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.DER))


def is_current(certificate: x509.Certificate, now_ns: int) -> bool:
    now = datetime.fromtimestamp(now_ns / 1e9, UTC)
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
