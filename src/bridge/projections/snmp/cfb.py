"""AES in CFB mode: SNMP's cipher (RFC 3826), which `cryptography` moved among the decrepit ones with version 47."""

try:
    from cryptography.hazmat.decrepit.ciphers.modes import CFB
except ModuleNotFoundError:
    from cryptography.hazmat.primitives.ciphers.modes import CFB

__all__ = ["CFB"]
