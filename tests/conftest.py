"""Async tests run on virtual time unless marked `real_time`, or `both_loops` (asyncio's and uvloop)."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop
from hypothesis import settings

from tests.support.network import leave_network
from tests.support.virtual_time import VirtualTimeLoop

# two busy cores: how long one example takes says nothing
settings.register_profile("bridge", deadline=None)
settings.load_profile("bridge")


def pytest_configure(config: pytest.Config) -> None:
    # one of several test processes: the tests bind fixed ports, each process has its own
    if hasattr(config, "workerinput"):
        leave_network()


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.get_closest_marker("both_loops"):
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    marker = item.get_closest_marker("real_time")
    return {"real": asyncio.new_event_loop} if marker else {"virtual": VirtualTimeLoop}
