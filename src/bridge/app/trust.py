"""Certificates of OPC UA clients: who was turned away, and who may come in (OPC 10000-12, 7.8.2; files only)."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from bridge.app.certificates import TlsError

# Below the state directory of the site; the server makes them, and reads `trusted` at every connect.
FOLDER = Path("opcua", "pki")
TRUSTED, REJECTED = "trusted", "rejected"
# Bytes of a certificate, as the server takes them.
CERTIFICATE_MOST = 16_384
_SUFFIXES = frozenset({".der", ".pem", ".crt", ".cer"})


@dataclass(frozen=True, slots=True)
class Client:
    """One certificate. `thumbprint`: SHA-1, as OPC UA names certificates. `uris`: what programs it is for."""

    state: str
    thumbprint: str
    subject: str
    uris: tuple[str, ...]
    not_after: datetime
    path: Path


class TrustList:
    """The two folders of one site."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / FOLDER

    def clients(self) -> list[Client]:
        """Return everybody known, those who wait first. Raises: OSError."""
        return [*self._in(REJECTED), *self._in(TRUSTED)]

    def trust(self, what: str) -> Client:
        """
        Let a client in: a rejected one by the beginning of its thumbprint, or one whose certificate is a file.

        Raises: TlsError, OSError.
        """
        path = Path(what)
        if path.suffix in _SUFFIXES and path.is_file():
            return self._add(path)
        return self._move(what, REJECTED, TRUSTED)

    def distrust(self, what: str) -> Client:
        """Let a client in no more, by the beginning of its thumbprint. Raises: TlsError, OSError."""
        return self._move(what, TRUSTED, REJECTED)

    def _move(self, what: str, source: str, target: str) -> Client:
        wanted = what.lower().replace(":", "")
        found = [client for client in self._in(source) if wanted and client.thumbprint.startswith(wanted)]
        if len(found) != 1:
            raise TlsError(f"expected one {source} certificate beginning with {what}, found {len(found)}")
        folder = self._made(target)
        moved = found[0].path.replace(folder / f"{found[0].thumbprint}.der")
        return _client(moved, target)

    def _add(self, path: Path) -> Client:
        der = _certificate(path).public_bytes(serialization.Encoding.DER)
        added = self._made(TRUSTED) / f"{hashlib.sha1(der, usedforsecurity=False).hexdigest()}.der"
        added.write_bytes(der)
        # a certificate is no secret, and the server may run as another user
        added.chmod(0o644)
        return _client(added, TRUSTED)

    def _made(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def _in(self, state: str) -> Iterator[Client]:
        folder = self._folder / state
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.suffix in _SUFFIXES:
                yield _client(path, state)


def _client(path: Path, state: str) -> Client:
    certificate = _certificate(path)
    der = certificate.public_bytes(serialization.Encoding.DER)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = tuple(names.get_values_for_type(x509.UniformResourceIdentifier))
    except (x509.ExtensionNotFound, ValueError):
        uris = ()
    thumbprint = hashlib.sha1(der, usedforsecurity=False).hexdigest()
    subject = certificate.subject.rfc4514_string()
    return Client(state, thumbprint, subject, uris, certificate.not_valid_after_utc, path)


def _certificate(path: Path) -> x509.Certificate:
    """Raises: TlsError, OSError."""
    if path.stat().st_size > CERTIFICATE_MOST:
        raise TlsError(f"{path}: expected a certificate of at most {CERTIFICATE_MOST} bytes")
    data = path.read_bytes()
    try:
        pem = data.startswith(b"-----")
        return x509.load_pem_x509_certificate(data) if pem else x509.load_der_x509_certificate(data)
    except ValueError as exc:
        raise TlsError(f"{path}: expected a certificate, DER or PEM") from exc
