"""docs/services.md: what it shows can be written."""

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from bridge.config.services import ServicesFile

PAGE = Path(__file__).parents[3] / "docs" / "services.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
INLINE = re.findall(r"`services: (\{.*?\})`", PAGE.read_text())


@pytest.mark.parametrize("block", BLOCKS)
def test_every_example_of_the_page_is_read(block: str) -> None:
    services = msgspec.convert(yaml.safe_load(block)["services"], ServicesFile)

    assert services != ServicesFile() or "demand: {interval_min: 15" in block


@pytest.mark.parametrize("text", INLINE)
def test_every_key_named_in_the_text_is_read(text: str) -> None:
    assert msgspec.convert(yaml.safe_load(text), ServicesFile) is not None


def test_the_page_has_examples() -> None:
    assert len(BLOCKS) >= 5
    assert len(INLINE) >= 4
