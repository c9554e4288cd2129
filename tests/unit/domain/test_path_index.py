"""The index of paths against the definition of overlap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.path_index import Cover, PathIndex
from domain.paths import components, paths_overlap

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
