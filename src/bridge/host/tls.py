"""TLS of a listener: 1.2 or newer, AEAD suites with forward secrecy only, client certificates if asked."""

import os
import ssl

import msgspec

from bridge.core.listener import Tls

# OpenSSL's cipher language; the suites of TLS 1.3 are AEAD all of them and not set by it.
_SUITES_OF_TLS_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"


class ServerTls:
    """What a listener speaks TLS with; `renewed` takes over a list of revoked certificates that has changed."""

    def __init__(self, tls: Tls) -> None:
        """Raises: OSError that names the file."""
        self._tls = tls
        self._seen = _stamp(tls.client_crl)
        self.context = server_context(tls)
        # for the probe of this very process, which has no certificate that anybody vouches for
        self.own_context = server_context(msgspec.structs.replace(tls, client_ca="", client_crl=""))

    def renewed(self) -> bool:
        """
        Tell whether the list has changed; then `context` is a new one, and session tickets of before count no more.

        Raises: OSError for a list that cannot be used: the old one holds until the file changes again.
        """
        stamp = _stamp(self._tls.client_crl)
        if stamp == self._seen:
            return False
        self._seen = stamp
        self.context = server_context(self._tls)
        return True


def server_context(tls: Tls) -> ssl.SSLContext:
    """Raises: OSError that names the file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_SUITES_OF_TLS_1_2)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    try:
        context.load_cert_chain(tls.certificate, tls.key, _no_password)
    except OSError as exc:
        raise OSError(f"tls certificate {tls.certificate} with key {tls.key}: {exc}") from exc
    if tls.client_ca:
        _verify(context, tls.client_ca, "client_ca")
        context.verify_mode = ssl.CERT_REQUIRED
    if tls.client_crl:
        _verify(context, tls.client_crl, "client_crl")
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
    return context


def _verify(context: ssl.SSLContext, path: str, key: str) -> None:
    try:
        context.load_verify_locations(path)
    except OSError as exc:
        raise OSError(f"tls {key} {path}: {exc}") from exc


def _stamp(path: str) -> tuple[int, int, int] | None:
    """Return what tells one version of a file from another; None without a file."""
    try:
        found = os.stat(path) if path else None
    except OSError:
        return None
    return None if found is None else (found.st_ino, found.st_mtime_ns, found.st_size)


def _no_password() -> str:
    """A daemon has nobody to ask: an encrypted key is refused instead of a prompt."""
    return ""
