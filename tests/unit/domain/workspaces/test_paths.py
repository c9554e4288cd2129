"""Lock paths and roots: compared by component, normalised once, never outside the root."""

from __future__ import annotations

import sys
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Invalid
from domain.workspaces.paths import (
    MAX_PATH_CHARS,
    MAX_PATH_DEPTH,
    MAX_PATHS,
    components,
    normalise_lock_paths,
    normalise_root,
    paths_overlap,
    roots_overlap,
)

ROOT = "/srv/acme"
names = st.sampled_from(["src", "src2", "api", "a", "b", "...", "ä", " "])
tidy = st.lists(names, min_size=1, max_size=4).map("/".join)
noise = st.sampled_from(["", "."])
untidy = (
    st.lists(st.one_of(names, noise), min_size=1, max_size=6)
    .map("/".join)
    .filter(lambda path: path and not path.startswith("/"))
)
absolute = untidy.map(lambda path: f"{ROOT}/{path}")
claims = st.lists(st.one_of(tidy, untidy, absolute), max_size=5)


def _overlap(left: list[str], right: list[str]) -> bool:
    return paths_overlap([components(path) for path in left], [components(path) for path in right])


def _overlap_by_definition(left: list[str], right: list[str]) -> bool:
    """One is equal to, or a component-wise ancestor of, the other; nothing named is everything."""

    def inside(outer: str, inner: str) -> bool:
        return inner == outer or inner.startswith(outer + "/")

    if not left or not right:
        return True
    return any(inside(one, other) or inside(other, one) for one in left for other in right)


@given(claims, claims)
def test_overlap_is_symmetric_and_follows_the_definition(left: list[str], right: list[str]) -> None:
    ours, theirs = normalise_lock_paths(left, ROOT), normalise_lock_paths(right, ROOT)
    assert _overlap(ours, theirs) == _overlap(theirs, ours) == _overlap_by_definition(ours, theirs)


@given(claims)
def test_everything_overlaps_itself_and_the_whole(paths: list[str]) -> None:
    normal = normalise_lock_paths(paths, ROOT)
    assert _overlap(normal, normal)
    assert _overlap(normal, [])


@given(claims)
def test_normalisation_is_idempotent(paths: list[str]) -> None:
    once = normalise_lock_paths(paths, ROOT)
    assert normalise_lock_paths(once, ROOT) == once
    assert once == sorted(set(once), key=components)


@given(claims.filter(bool), st.lists(tidy, min_size=1, max_size=3))
def test_dropping_covered_paths_changes_no_overlap(paths: list[str], other: list[str]) -> None:
    each = [normalise_lock_paths([path], ROOT) for path in paths]
    assert _overlap(normalise_lock_paths(paths, ROOT), other) == any(_overlap(one, other) for one in each)


@given(claims)
def test_no_kept_path_covers_another(paths: list[str]) -> None:
    kept = normalise_lock_paths(paths, ROOT)
    assert not any(_overlap([one], [other]) for one in kept for other in kept if one != other)


@given(untidy)
def test_absolute_paths_under_the_root_mean_the_same(path: str) -> None:
    assert normalise_lock_paths([f"{ROOT}/{path}"], ROOT) == normalise_lock_paths([path], ROOT)


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("src", "src/api", True),
        ("src/api", "src", True),
        ("src", "src", True),
        ("src", "src2", False),
        ("src/api", "src/apis", False),
        ("src/api", "src/web", False),
        ("a/src", "src", False),
    ],
)
def test_overlap_is_by_component(one: str, other: str, overlap: bool) -> None:
    assert _overlap([one], [other]) is overlap


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], []),
        (["."], []),
        ([ROOT], []),
        (["src", "./"], []),
        (["src/", "./src//api", "src2"], ["src", "src2"]),
        ([f"{ROOT}/src", "src"], ["src"]),
        (["b", "a"], ["a", "b"]),
    ],
)
def test_normal_form(paths: list[str], expected: list[str]) -> None:
    assert normalise_lock_paths(paths, ROOT) == expected


@pytest.mark.parametrize(
    "path",
    [
        "..", "../x", "src/../..", "src/..", f"{ROOT}/../other", "/srv/acme2", "/srv", "/", "/etc/passwd",
        "", "a\x00b", "a" * (MAX_PATH_CHARS + 1),
    ],
)  # fmt: skip
def test_escapes_are_refused(path: str) -> None:
    with pytest.raises(Invalid) as refusal:
        normalise_lock_paths(["src", path], ROOT)
    assert refusal.value.code == "bad-lock-path"


def test_too_many_paths_are_refused() -> None:
    paths = [f"p{number}" for number in range(MAX_PATHS + 1)]
    assert len(normalise_lock_paths(paths[:-1], ROOT)) == MAX_PATHS
    with pytest.raises(Invalid):
        normalise_lock_paths(paths, ROOT)


@given(st.lists(names, max_size=3), st.lists(names, max_size=3))
def test_roots_overlap_when_one_lies_in_the_other(left: list[str], right: list[str]) -> None:
    one, other = "/" + "/".join(left), "/" + "/".join(right)
    shorter = min(len(left), len(right))
    assert roots_overlap(one, other) == roots_overlap(other, one) == (left[:shorter] == right[:shorter])


@pytest.mark.parametrize(
    ("root", "expected"), [("/srv/acme/", "/srv/acme"), ("//srv//acme", "/srv/acme"), ("/", "/")]
)
def test_normal_root(root: str, expected: str) -> None:
    assert normalise_root(root) == expected
    assert normalise_root(expected) == expected


@pytest.mark.parametrize("root", ["", "srv", "./srv", "/srv/../x", "/srv/./x", "/a\x00", "/" + "a" * 1024])
def test_bad_root(root: str) -> None:
    with pytest.raises(Invalid) as refusal:
        normalise_root(root)
    assert refusal.value.code == "bad-root"


def test_normalising_many_paths_compares_each_with_its_neighbour_alone() -> None:
    """256 paths are what a claim may have; each pair of them would be 32,640 comparisons."""
    compared = 0

    def called(frame: FrameType, event: str, argument: object) -> None:
        nonlocal compared
        compared += event == "call" and frame.f_code.co_name == "_covers"

    sys.setprofile(called)
    try:
        kept = normalise_lock_paths([f"part{number}/file" for number in range(MAX_PATHS)], ROOT)
    finally:
        sys.setprofile(None)
    assert len(kept) == MAX_PATHS
    assert 0 < compared <= 2 * MAX_PATHS


@pytest.mark.parametrize("before", ["", "./", f"{ROOT}/"])
def test_a_path_may_be_so_deep_and_no_deeper(before: str) -> None:
    deepest = "/".join(["a"] * MAX_PATH_DEPTH)
    assert normalise_lock_paths([before + deepest], ROOT) == [deepest]
    with pytest.raises(Invalid, match="65 components, and 64 is the most"):
        normalise_lock_paths([f"{before}{deepest}/a"], ROOT)
