"""What becomes of a try to log in: the answer of the core to a server that has users."""

import enum

import msgspec

from bridge.core.rights import Right


class Admission(enum.Enum):
    """WRONG says neither whether the user exists nor what was wrong. LOCKED: too many tries, or the user is locked."""

    ADMITTED = "admitted"
    WRONG = "wrong"
    LOCKED = "locked"
    # too many tries at once: hashing is slow on purpose
    BUSY = "busy"


class LoginResult(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """`role` and `rights` with ADMITTED only."""

    admission: Admission
    role: str = ""
    rights: tuple[Right, ...] = ()


WRONG, LOCKED, BUSY = (LoginResult(admission) for admission in (Admission.WRONG, Admission.LOCKED, Admission.BUSY))
