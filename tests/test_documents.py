"""The README and the documents hang together: their links lead somewhere, and the README is short."""

from __future__ import annotations

import re

import pytest

from .documents import NAMES, ROOT, section, text_of


def anchors(name: str) -> set[str]:
    """Return the anchors that a document's headings get where Markdown is shown."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text_of(name), flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(name)):
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        there = (ROOT / name).parent / path if path else ROOT / name
        assert there.exists(), f"{name} links to {link}"
        if anchor:
            assert anchor in anchors(str(there.resolve().relative_to(ROOT))), f"{name} links to {link}"


def test_the_readme_is_short() -> None:
    assert len(text_of("README.md").splitlines()) <= 200


def test_a_section_that_is_not_there_is_an_error() -> None:
    with pytest.raises(AssertionError, match="has no section"):
        section("README.md", "## Nothing of the kind")


def test_a_heading_ends_the_section_before_it() -> None:
    assert "Development" not in section("README.md", "## Try it")
