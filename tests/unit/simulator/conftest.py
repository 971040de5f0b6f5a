"""The simulator's process runs on uvloop: so do these tests, except the pure ones."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from tests.support.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    marker = item.get_closest_marker("real_time")
    return {"uvloop": uvloop.new_event_loop} if marker else {"virtual": VirtualTimeLoop}
