"""The index of paths against the definition of overlap."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from domain.workspaces.path_index import SPLIT_AT, Cover, PathIndex
from domain.workspaces.paths import components, paths_overlap

names = st.sampled_from(["a", "b", "ab"])
covers = st.lists(st.lists(names, min_size=1, max_size=3).map("/".join), max_size=3)


@given(st.lists(st.tuples(covers, st.booleans()), max_size=8), covers)
def test_it_finds_what_overlaps_of_what_was_not_taken_out(
    items: list[tuple[list[str], bool]], asked: list[str]
) -> None:
    index: PathIndex[str] = PathIndex()
    for number, (paths, _) in enumerate(items):
        index.add(f"item {number}", Cover(paths))
    for number, (paths, stays) in enumerate(items):
        if not stays:
            index.remove(f"item {number}", Cover(paths))  # equal, and not the same object
    expected = {
        f"item {number}"
        for number, (paths, stays) in enumerate(items)
        if stays and paths_overlap(map(components, paths), map(components, asked))
    }
    assert index.overlapping(Cover(asked)) == expected
    assert bool(index) == any(stays for _, stays in items)


def test_no_dict_of_a_large_index_grows_to_where_growing_takes_long() -> None:
    """A dict of some hundred thousand entries that grows moves all of them at once: tens of milliseconds."""
    index: PathIndex[int] = PathIndex()
    for number in range(400):
        index.add(number, Cover(f"part{number}/{one}" for one in range(256)))
    assert max(map(len, index._at._parts)) <= SPLIT_AT
    assert index.overlapping(Cover(["part7/3", "part9"])) == {7, 9}
    for number in range(400):
        index.remove(number, Cover(f"part{number}/{one}" for one in range(256)))
    assert not index


@given(st.lists(st.tuples(covers, st.booleans()), max_size=8), covers)
def test_an_index_that_was_split_finds_the_same(
    items: list[tuple[list[str], bool]], asked: list[str]
) -> None:
    with patch("domain.workspaces.path_index.SPLIT_AT", 2):
        test_it_finds_what_overlaps_of_what_was_not_taken_out.hypothesis.inner_test(items, asked)  # type: ignore[attr-defined]
