"""A loopback of one's own, so that two test processes may bind the same ports (Linux, root)."""

import ctypes
import fcntl
import os
import socket
import struct

# linux/sched.h, linux/sockios.h, linux/if.h
_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_IFF_UP = 1
# struct ifreq: name, flags, the rest of the union
_IFREQ = struct.Struct("16sH22x")


def leave_network() -> None:
    """
    Move the calling thread, and what it starts from now on, into a new network namespace whose `lo` is up.

    Raises: OSError, PermissionError without CAP_SYS_ADMIN.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        asked = fcntl.ioctl(sock, _SIOCGIFFLAGS, _IFREQ.pack(b"lo", 0))
        name, flags = _IFREQ.unpack(asked)
        fcntl.ioctl(sock, _SIOCSIFFLAGS, _IFREQ.pack(name, flags | _IFF_UP))
