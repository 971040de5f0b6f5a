"""What the documents promise is there: links lead somewhere, the README's first site is one the bridge reads."""

import re
from pathlib import Path

import msgspec
import pytest
import yaml

from bridge.config.site import SiteFile

TOP = Path(__file__).parents[2]
DOCUMENTS = sorted([*TOP.glob("*.md"), *(TOP / "docs").rglob("*.md")])
# [text](target), without links to other hosts and into the same page
_LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")
_ADR_PARTS = ("## Context", "## Decision", "## What it is not", "## Evidence")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: str(p.relative_to(TOP)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    dead = [target for target in _LINK.findall(document.read_text()) if not (document.parent / target).exists()]

    assert dead == []


def test_the_first_site_of_the_readme_is_read() -> None:
    block = re.search(r"```yaml\n(.*?)```", (TOP / "README.md").read_text(), re.DOTALL)
    assert block

    site = msgspec.convert(yaml.safe_load(block[1]), SiteFile)

    assert site.devices["tenant-12"].meter == "bsmart"


def test_every_decision_has_its_number_and_its_four_parts() -> None:
    papers = sorted((TOP / "docs" / "adr").glob("*.md"))
    texts = {paper.name: paper.read_text() for paper in papers}

    assert [int(name[:3]) for name in texts] == list(range(1, len(papers) + 1))
    assert [name for name, text in texts.items() if [p for p in _ADR_PARTS if p not in text]] == []
