"""What docs/comparison.md claims about another product carries its source."""

from __future__ import annotations

import re

import pytest

from tests.support.repository import REPO

TABLE, *SECTIONS = (REPO / "docs" / "comparison.md").read_text().split("\n## ")
PRODUCTS = [section for section in SECTIONS if not section.startswith("When not to use Towpath")]
CLAIMS = [
    pytest.param(paragraph, id=f"{section.splitlines()[0]}: {paragraph[:20]}")
    for section in PRODUCTS
    for paragraph in section.split("\n\n")[1:]
    if re.match(r"\*\*(Status|Lock|Loss|Proof|More)", paragraph)
]


def test_every_product_of_the_table_has_a_section() -> None:
    linked = re.findall(r"(?m)^\| \[`?([^]`]+)`?\]\(#", TABLE)
    assert linked == [section.splitlines()[0] for section in PRODUCTS]


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_has_a_source(claim: str) -> None:
    assert "](https://" in claim or re.search(r"found\s+no", claim), "link the documentation that says so"
