"""What the library only logs fails the test that made it."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def library_is_quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    said = [
        record.getMessage()
        for record in caplog.get_records("call")
        if record.levelname in ("ERROR", "CRITICAL") and record.name.partition(".")[0] in ("bacpypes3", "asyncio")
    ]
    assert said == []
