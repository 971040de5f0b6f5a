"""Async tests run on virtual time unless marked `@pytest.mark.asyncio(loop_factories=["real"])`."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import settings

from tests.support.virtual_time import VirtualTimeLoop

# two busy cores: how long one example takes says nothing
settings.register_profile("bridge", deadline=None)
settings.load_profile("bridge")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    marker = item.get_closest_marker("real_time")
    return {"real": asyncio.new_event_loop} if marker else {"virtual": VirtualTimeLoop}
