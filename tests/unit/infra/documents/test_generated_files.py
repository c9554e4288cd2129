"""What is generated is what stands in the repository."""

from __future__ import annotations

import pytest

from domain.task.transitions import Status
from infra.documents import CONTRACTS
from infra.documents.roles_table import roles_by_route
from infra.documents.write import ACCESS, DOCS, REPO, diagram, files

GENERATED = {str(path.relative_to(REPO)): text for path, text in files().items()}


@pytest.mark.parametrize("name", sorted(GENERATED))
def test_generated_files_are_up_to_date(name: str) -> None:
    assert (REPO / name).read_text() == GENERATED[name], "run `make docs` and commit what it wrote"


def test_no_contract_is_left_that_nothing_makes() -> None:
    found = {str(path.relative_to(REPO)) for path in CONTRACTS.rglob("*") if path.is_file()}
    assert found <= GENERATED.keys()


def test_the_diagram_shows_every_status() -> None:
    shown = diagram()
    assert all(status.value.replace("-", "_") in shown for status in Status)


def test_the_page_names_the_role_of_every_route() -> None:
    page = ACCESS.read_text()
    for (method, path), role in roles_by_route().items():
        line = next(line for line in page.splitlines() if f"`{method} {path}`" in line)
        assert line.startswith(f"| {role} |"), line


def test_the_page_names_every_variable_that_a_task_gets() -> None:
    from runner.attempts.workspace import INHERITED, OF_A_LOCK

    text = (DOCS / "commands.md").read_text()
    for name in (*INHERITED, *OF_A_LOCK, "TOWPATH_TASK_ID", "TOWPATH_ATTEMPT", "TOWPATH_RUNNER_ID"):
        assert f"`{name}`" in text
