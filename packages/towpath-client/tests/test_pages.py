"""The examples of the documentation print what it shows."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.documents.readme import Block, blocks
from tests.support.repository import REPO
from tests.support.towpath import Up

PAGE, README = REPO / "docs" / "from-a-program.md", Path(__file__).parents[1] / "README.md"


def examples(page: Path) -> list[tuple[Block, Block]]:
    """Each program with what it prints."""
    return [(one, two) for one, two in pairwise(blocks(page)) if one.language == "python"]


@pytest.fixture(scope="module")
def shop(up: Up) -> Up:
    """The workspace of the examples."""
    up.workspace("shop")
    return up


@pytest.mark.parametrize(
    ("program", "shown"), [*examples(PAGE), *examples(README)], ids=lambda one: one.heading
)
def test_an_example_prints_what_is_shown(shop: Up, program: Block, shown: Block) -> None:
    assert shown.language == "text"
    done = shop.home.program(sys.executable, "-c", program.text, TOWPATH_URL=shop.url)
    assert (done.stdout, done.stderr) == (shown.text + "\n", "")


def test_every_python_block_is_an_example() -> None:
    for page in (PAGE, README):
        assert len(examples(page)) == sum(one.language == "python" for one in blocks(page)) > 0
