"""What is generated is what stands in the repository."""

from __future__ import annotations

import pytest

from domain.transitions import Status
from infra.docs import DOCS, diagram, pages


@pytest.mark.parametrize("name", sorted(pages()))
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text() == pages()[name], "run `make docs` and commit what it wrote"


def test_the_diagram_shows_every_status() -> None:
    shown = diagram()
    assert all(status.value.replace("-", "_") in shown for status in Status)
