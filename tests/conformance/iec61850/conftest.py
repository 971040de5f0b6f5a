"""The Rust client crashes now and then when the interpreter exits, so the test process leaves without that."""

import os
import sys

import pytest

_status: list[int] = []


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    del session
    _status.append(int(exitstatus))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    del config
    if "iec61850" in sys.modules:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_status[-1] if _status else 1)
