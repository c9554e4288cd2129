"""The tree is that of RFC 6962: its well-known test vectors, and growing it equals building it."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.evidence.merkle import EMPTY_ROOT, Tree, leaf_hash, root_of

DATA = [
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"
]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [sha256(b"\x00" + bytes.fromhex(data)).digest() for data in DATA]


def test_roots_are_those_of_the_rfc() -> None:
    tree = Tree()
    assert tree.root == root_of([]) == EMPTY_ROOT
    for size, root in enumerate(ROOTS, start=1):
        tree.append(LEAVES[size - 1])
        assert tree.root.hex() == root_of(LEAVES[:size]).hex() == root


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=70), st.integers(0, 70))
def test_a_tree_goes_on_from_its_peaks(leaves: list[bytes], cut: int) -> None:
    first = Tree()
    for leaf in leaves[:cut]:
        first.append(leaf)
    second = Tree(first.size, first.peaks)
    for leaf in leaves[cut:]:
        second.append(leaf)
    assert second.root == root_of(leaves)


def test_peaks_must_fit_the_size() -> None:
    with pytest.raises(ValueError, match="3 leaves has 2 peaks"):
        Tree(3, LEAVES[:1])


def test_a_leaf_covers_everything_in_one_way_only() -> None:
    made = leaf_hash(258, b"towpath.task.x.created", [b"a: 1", b"b: 2"], b"{}")
    text = b"\x00\x00\x00\x00\x00\x00\x01\x02towpath.task.x.created\na: 1\nb: 2\n\n{}"
    assert made == sha256(b"\x00" + text).digest()
    others = [
        leaf_hash(259, b"towpath.task.x.created", [b"a: 1", b"b: 2"], b"{}"),
        leaf_hash(258, b"towpath.task.y.created", [b"a: 1", b"b: 2"], b"{}"),
        leaf_hash(258, b"towpath.task.x.created", [b"a: 1"], b"b: 2\n\n{}"),
        leaf_hash(258, b"towpath.task.x.created", [b"a: 1", b"b: 2"], b"{} "),
    ]
    assert made not in others
    assert len(set(others)) == len(others)
