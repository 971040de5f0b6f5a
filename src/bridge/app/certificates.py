"""Certificates of a site: made by its own authority or asked for at another one, and checked before they are used."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bridge.commands.resets import write_whole
from bridge.core.errors import BridgeError

# Names of the files in the folder; keys are 0600
CA, CA_KEY, CERTIFICATE, KEY, REQUEST, REQUEST_KEY = (
    "ca.pem",
    "ca.key",
    "server.pem",
    "server.key",
    "server.csr",
    "new.key",
)
FOLDER = "tls"
CA_DAYS, SERVER_DAYS, CLIENT_DAYS = 3650, 825, 825
# RSA keys below are broken or soon will be (BSI TR-02102-2, 3.6.1: 3000 from 2024; 2048 is still met in the field)
MIN_RSA_BITS = 2048
# Clocks of a plant differ
_BEFORE = timedelta(days=1)
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


class TlsError(BridgeError):
    """A certificate or key that cannot be used; the message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a person wants to know of a certificate. `fingerprint`: SHA-256 of the whole of it."""

    file: str
    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    fingerprint: str
    days_left: int


class TlsFolder:
    """`state_dir`/tls: the site's own authority, the server's certificate, clients' certificates."""

    def __init__(self, state_dir: Path, utc_ns: int) -> None:
        self.path = state_dir / FOLDER
        self._now = datetime.fromtimestamp(utc_ns / 1e9, UTC)

    def init(self, site: str, names: Sequence[str]) -> Facts:
        """Make an authority of the site's own, once, and a server certificate for `names`. Raises: TlsError."""
        self._make()
        if not (self.path / CA).exists():
            key = ec.generate_private_key(ec.SECP256R1())
            subject = _name(f"{site} authority")
            usage = _key_usage(signs_certificates=True)
            built = self._builder(subject, subject, key.public_key(), key.public_key(), CA_DAYS)
            built = built.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            self._save(CA_KEY, _pem(key))
            self._save(CA, built.add_extension(usage, critical=True).sign(key, hashes.SHA256()).public_bytes(_PEM))
        key = ec.generate_private_key(ec.SECP256R1())
        chain = self._issue(_name(names[0]), key, names, ExtendedKeyUsageOID.SERVER_AUTH, SERVER_DAYS)
        self._save(KEY, _pem(key))
        self._save(CERTIFICATE, chain)
        return self.show(CERTIFICATE)

    def client(self, user: str) -> tuple[Path, Path]:
        """Make a certificate by which a client is known as `user`; return its files. Raises: TlsError."""
        self._make()
        key = ec.generate_private_key(ec.SECP256R1())
        chain = self._issue(_name(user), key, (), ExtendedKeyUsageOID.CLIENT_AUTH, CLIENT_DAYS)
        self._save(f"client-{user}.key", _pem(key))
        self._save(f"client-{user}.pem", chain)
        return self.path / f"client-{user}.pem", self.path / f"client-{user}.key"

    def request(self, names: Sequence[str]) -> Path:
        """Make a new key and a request for another authority to sign; return its file. What is in use stays."""
        self._make()
        key = ec.generate_private_key(ec.SECP256R1())
        request = x509.CertificateSigningRequestBuilder().subject_name(_name(names[0]))
        request = request.add_extension(x509.SubjectAlternativeName(_alternatives(names)), critical=False)
        self._save(REQUEST_KEY, _pem(key))
        self._save(REQUEST, request.sign(key, hashes.SHA256()).public_bytes(_PEM))
        return self.path / REQUEST

    def install(self, certificate: Path, key: Path | None) -> Facts:
        """
        Put a certificate (with its chain) in the place of the one in use; `key` None: that of the last request.

        Raises: TlsError, then nothing has changed.
        """
        key_path = key or self.path / REQUEST_KEY
        facts = check_pair(certificate, key_path, self._now)
        self._make()
        chain, key_pem = _read(certificate), _read(key_path)
        self._save(KEY, key_pem)
        self._save(CERTIFICATE, chain)
        if key is None:
            key_path.unlink()
        return facts

    def show(self, name: str = CERTIFICATE) -> Facts:
        """Raises: TlsError."""
        return facts_of(self.path / name, self._now)

    def _make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _save(self, name: str, data: bytes) -> None:
        try:
            write_whole(self.path / name, data)
        except OSError as exc:
            raise TlsError(f"{self.path / name}: {exc.strerror}") from exc

    def _issue(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        names: Sequence[str],
        use: x509.ObjectIdentifier,
        days: int,
    ) -> bytes:
        authority = load_certificates(self.path / CA)[0]
        authority_key = load_key(self.path / CA_KEY)
        assert isinstance(authority_key, ec.EllipticCurvePrivateKey)
        built = self._builder(subject, authority.subject, key.public_key(), authority_key.public_key(), days)
        built = built.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        built = built.add_extension(_key_usage(signs_certificates=False), critical=True)
        built = built.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        if names:
            built = built.add_extension(x509.SubjectAlternativeName(_alternatives(names)), critical=False)
        return built.sign(authority_key, hashes.SHA256()).public_bytes(_PEM)

    def _builder(
        self,
        subject: x509.Name,
        issuer: x509.Name,
        key: ec.EllipticCurvePublicKey,
        issuer_key: ec.EllipticCurvePublicKey,
        days: int,
    ) -> x509.CertificateBuilder:
        """The key identifiers are those of RFC 5280, 4.2.1: strict clients (Python 3.13) refuse a chain without."""
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - _BEFORE)
            .not_valid_after(self._now + timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
        )


_PEM = serialization.Encoding.PEM


def check_pair(certificate: Path, key: Path, now: datetime) -> Facts:
    """Check that a server can use the two: readable, in time, of one another, strong. Raises: TlsError."""
    first, *chain = load_certificates(certificate)
    private = load_key(key)
    if _public_bytes(first.public_key()) != _public_bytes(private.public_key()):
        raise TlsError(f"{key}: expected the key of {certificate}, found that of another certificate")
    if isinstance(private, rsa.RSAPrivateKey) and private.key_size < MIN_RSA_BITS:
        raise TlsError(f"{key}: expected an RSA key of at least {MIN_RSA_BITS} bits, found {private.key_size}")
    if key.stat().st_mode & 0o077:
        raise TlsError(f"{key}: expected mode 0600, found {key.stat().st_mode & 0o777:04o}")
    facts = facts_of(certificate, now)
    if now >= facts.not_after:
        raise TlsError(
            f"{certificate}: expected a certificate in time, found one that ended {facts.not_after:%Y-%m-%d}"
        )
    if now < facts.not_before:
        raise TlsError(f"{certificate}: expected a certificate in time, found one from {facts.not_before:%Y-%m-%d} on")
    below = first
    for issuer in chain:
        try:
            below.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature) as exc:
            raise TlsError(f"{certificate}: expected each certificate to be signed by the next, found another") from exc
        below = issuer
    return facts


def facts_of(path: Path, now: datetime) -> Facts:
    """Return what stands in the first certificate of a file. Raises: TlsError."""
    found = load_certificates(path)[0]
    try:
        named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = tuple(str(name.value) for name in named)
    except x509.ExtensionNotFound:
        names = ()
    return Facts(
        file=str(path),
        subject=found.subject.rfc4514_string(),
        issuer=found.issuer.rfc4514_string(),
        names=names,
        not_before=found.not_valid_before_utc,
        not_after=found.not_valid_after_utc,
        fingerprint=found.fingerprint(hashes.SHA256()).hex(":"),
        days_left=(found.not_valid_after_utc - now).days,
    )


def load_certificates(path: Path) -> list[x509.Certificate]:
    """Raises: TlsError."""
    try:
        return x509.load_pem_x509_certificates(_read(path))
    except ValueError as exc:
        raise TlsError(f"{path}: expected certificates in PEM, found something else") from exc


def load_key(path: Path) -> PrivateKey:
    """Raises: TlsError, which never shows what is in the file."""
    try:
        key = serialization.load_pem_private_key(_read(path), password=None)
    except TypeError as exc:
        raise TlsError(f"{path}: expected a key without password, for nobody is there to type it") from exc
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise TlsError(f"{path}: expected a private key in PEM, found something else") from exc
    if not isinstance(key, PrivateKey):
        raise TlsError(f"{path}: expected an EC, RSA or Ed25519 key")
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise TlsError(f"{path}: {exc.strerror}") from exc


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _public_bytes(key: object) -> bytes:
    make = getattr(key, "public_bytes")  # noqa: B009 - every kind of public key has it, no common type does
    return bytes(make(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))


def _name(common: str) -> x509.Name:
    try:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    except ValueError as exc:
        raise TlsError(f"expected a name of 1 to 64 characters, found {common[:70]}") from exc


def _alternatives(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _key_usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
