"""Who may associate: the ACSE password. TLS (IEC 62351-3) ends at the guard, in front of the library."""

import hmac
from collections.abc import Callable
from typing import Final

from bridge.projections.iec61850.lib61850 import Authenticator, Callback, Functions, Handle, fail_closed, octets

# AcseAuthenticationMechanism of libiec61850.
_PASSWORD: Final = 1
_PASSWORD_LIMIT: Final = 256


def password_check(
    library: Functions,
    passwords: tuple[bytes, ...],
    report: Callable[[BaseException], None],
    wrong: Callable[[], None],
) -> Callback:
    """Return the authenticator, to be kept alive. `wrong` is called for every refusal, in the server thread."""

    def accept(_parameter: None, given: Handle | None, _token: object, _application: Handle) -> bool:
        if known(given):
            return True
        wrong()
        return False

    def known(given: Handle | None) -> bool:
        if not given or library.AcseAuthenticationParameter_getAuthMechanism(given) != _PASSWORD:
            return False
        length = library.AcseAuthenticationParameter_getPasswordLength(given)
        address = library.AcseAuthenticationParameter_getPassword(given)
        password = octets(address, length, _PASSWORD_LIMIT)
        # every candidate is compared, so that time tells nothing
        return any([hmac.compare_digest(password, one) for one in passwords])

    return fail_closed(Authenticator, 0, accept, report)
