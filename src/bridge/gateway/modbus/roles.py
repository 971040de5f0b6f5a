"""The role a client certificate carries (Modbus/TCP Security V21): UTF8String in an extension."""

from cryptography import x509
from cryptography.x509.oid import ObjectIdentifier

ROLE_OID = ObjectIdentifier("1.3.6.1.4.1.50316.802.1")
_UTF8_STRING = 0x0C
_ROLE_MOST = 64


def role_of(certificate: bytes) -> str:
    """Return the role in a certificate (DER), "" for none or one that cannot be read: that may do nothing."""
    try:
        extension = x509.load_der_x509_certificate(certificate).extensions.get_extension_for_oid(ROLE_OID).value
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return ""
    value = extension.value if isinstance(extension, x509.UnrecognizedExtension) else b""
    # tag, length in one byte, text
    if len(value) < 3 or value[0] != _UTF8_STRING or value[1] != len(value) - 2 or value[1] > _ROLE_MOST:
        return ""
    try:
        return value[2:].decode("utf-8")
    except UnicodeDecodeError:
        return ""
