"""TLS of a listener: 1.2 or newer, AEAD suites with forward secrecy only, client certificates if asked."""

import ssl

from bridge.core.listener import Tls

# OpenSSL's cipher language; the suites of TLS 1.3 are AEAD all of them and not set by it.
_SUITES_OF_TLS_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"


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
        try:
            context.load_verify_locations(tls.client_ca)
        except OSError as exc:
            raise OSError(f"tls client_ca {tls.client_ca}: {exc}") from exc
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _no_password() -> str:
    """A daemon has nobody to ask: an encrypted key is refused instead of a prompt."""
    return ""
