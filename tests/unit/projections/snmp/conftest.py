"""Shared fixtures."""

from pathlib import Path

import pytest

from tests.support.snmp_agent import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)
