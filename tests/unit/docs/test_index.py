"""The pages can be found: the index lists each once, and no link between files of the repository is dead."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.support.repository import REPO

DOCS = REPO / "docs"
INDEX = DOCS / "README.md"
KINDS = ["Tutorial", "How-to guides", "Reference", "Explanation"]
MOST_FILES = 16
PACKAGES = ["domain", "adapters", "projections", "api", "runner", "infra"]
_NOT_OURS = {".venv", "node_modules", ".pytest_cache", ".git"}
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_ROW = re.compile(r"(?m)^\| \[(\S+)\]\((\S+)\) \| (.+) \|$")
PAGES = sorted(
    path for path in REPO.rglob("*.md") if not _NOT_OURS.intersection(path.relative_to(REPO).parts)
)


def _prose(path: Path) -> str:
    return re.sub(r"(?ms)^```.*?^```", "", path.read_text())


def _anchors(path: Path) -> set[str]:
    """The anchors that GitHub and its like make of a page's headings."""
    headings = re.findall(r"(?m)^#+ +(.+?)$", _prose(path))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_index_lists_every_page_once_under_its_kind() -> None:
    _, *sections = re.split(r"(?m)^## ", _prose(INDEX))
    assert [section.partition(":")[0] for section in sections] == KINDS
    rows = [row for section in sections for row in _ROW.findall(section)]
    assert all(name == target and answers.endswith("?") for name, target, answers in rows)
    pages = [path.name for path in DOCS.glob("*.md") if path != INDEX]
    assert sorted(target for _, target, _ in rows) == sorted([*pages, "adr"])


@pytest.mark.parametrize("page", [pytest.param(path, id=str(path.relative_to(REPO))) for path in PAGES])
def test_no_link_is_dead(page: Path) -> None:
    for link in _LINK.findall(_prose(page)):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{link}: there is no {target}"
        if anchor:
            assert anchor in _anchors(target), f"{link}: no such heading"


def test_the_glossary_defines_each_word_once_and_names_where_it_lives() -> None:
    _, *entries = re.split(r"(?m)^### ", (DOCS / "glossary.md").read_text())
    words = [entry.partition("\n")[0] for entry in entries]
    assert len(words) == len(set(words)) > 25
    for entry in entries:
        code = re.search(r"(?s)\*Code:\* (.+?)\s\*More:\*\s\[", entry)
        assert code is not None, entry
        assert all((REPO / place).exists() for place in re.findall(r"`([a-z_/.]+)`", code[1])), entry


PRESENT = [path for path in PAGES if path.name != "CHANGELOG.md"]  # that names what was there


@pytest.mark.parametrize("page", [pytest.param(path, id=str(path.relative_to(REPO))) for path in PRESENT])
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    for name in re.findall(
        r"`((?:domain|adapters|projections|api|runner|infra|tests|docs)/[\w/.-]+)`", _prose(page)
    ):
        assert (REPO / name).exists() or list(REPO.glob(name)), f"there is no {name}"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_where_to_start(package: str) -> None:
    for init in (REPO / package).rglob("__init__.py"):
        said = ast.get_docstring(ast.parse(init.read_text())) or ""
        assert said, f"{init} says nothing"
        for name in re.findall(r"`([\w/]+\.py)`", said):
            assert (init.parent / name).exists() or (REPO / name).exists(), f"{init} names {name}"
        if len(list(init.parent.glob("*.py"))) > 2:
            assert "tart with" in said, f"{init} does not say where to start"


@pytest.mark.parametrize("part", [*PACKAGES, "tests", "packages"])
def test_no_folder_holds_more_files_than_a_person_takes_in(part: str) -> None:
    files = [path for path in (REPO / part).rglob("*.py") if not _NOT_OURS.intersection(path.parts)]
    sizes = Counter(str(path.parent.relative_to(REPO)) for path in files if path.stem != "__init__")
    full = {folder: size for folder, size in sizes.items() if size > MOST_FILES}
    assert full == {}, "split it by responsibility"
