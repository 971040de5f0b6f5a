"""A serial cable: two pseudo-terminals joined in the running event loop."""

import asyncio
import contextlib
import os
import tty
from collections.abc import Iterator


@contextlib.contextmanager
def null_modem() -> Iterator[tuple[str, str]]:
    """Yield the two ends of a serial cable."""
    loop = asyncio.get_running_loop()
    (near, near_end), (far, far_end) = os.openpty(), os.openpty()
    for end in (near_end, far_end):
        tty.setraw(end)
    loop.add_reader(near, lambda: os.write(far, os.read(near, 1024)))
    loop.add_reader(far, lambda: os.write(near, os.read(far, 1024)))
    try:
        yield os.ttyname(near_end), os.ttyname(far_end)
    finally:
        for device in (near, far):
            loop.remove_reader(device)
        for fd in (near, near_end, far, far_end):
            os.close(fd)
