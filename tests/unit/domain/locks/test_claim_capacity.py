"""What a workspace may have open: counted with what is under way, refused with words."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from domain.errors import Refused
from domain.locks.claim_capacity import MAX_OPEN_CLAIMS, ClaimCapacity
from domain.locks.workspace_locks import OpenSize
from domain.workspaces.paths import MAX_PATHS


@dataclass
class Fold:
    """What is folded, as the test sets it."""

    seq: int = 0
    sizes: dict[str, OpenSize] = field(default_factory=dict)

    def open_size(self, workspace: str) -> OpenSize:
        return self.sizes.get(workspace, OpenSize())


@pytest.fixture
def fold() -> Fold:
    return Fold()


@pytest.fixture
def capacity(fold: Fold) -> ClaimCapacity:
    return ClaimCapacity(fold, most_claims=2, most_path_chars=10)


def append(capacity: ClaimCapacity, seq: int, *paths: str, workspace: str = "shop") -> None:
    with capacity.reserve(workspace, paths) as one:
        one.check()
        one.seq = seq


def test_what_is_appended_counts_before_it_is_folded_and_once(capacity: ClaimCapacity, fold: Fold) -> None:
    append(capacity, 1)
    append(capacity, 2)
    with pytest.raises(Refused) as refusal:
        append(capacity, 3)
    assert refusal.value.code == "workspace-full"
    assert refusal.value.extra == {"workspace": "shop", "bound": "claims", "open": 2, "most": 2}
    assert "2 claims are open in workspace shop" in refusal.value.detail
    fold.seq, fold.sizes["shop"] = 2, OpenSize(held=1, waiting=0)
    append(capacity, 3)
    with pytest.raises(Refused):
        append(capacity, 4)
    append(capacity, 4, workspace="other")


def test_characters_of_paths_count_too(capacity: ClaimCapacity, fold: Fold) -> None:
    fold.sizes["shop"] = OpenSize(held=1, paths=1, path_chars=4)
    append(capacity, 1, "src", "doc")
    fold.seq, fold.sizes["shop"] = 1, OpenSize(held=1, paths=3, path_chars=10)
    with pytest.raises(Refused, match="lock paths of 10 characters are open"):
        append(capacity, 2, "x")


def test_of_two_at_the_same_moment_the_first_gets_the_last_place(capacity: ClaimCapacity, fold: Fold) -> None:
    fold.sizes["shop"] = OpenSize(held=1)
    with capacity.reserve("shop", ()) as first, capacity.reserve("shop", ()) as second:
        with pytest.raises(Refused):
            second.check()
        first.check()


def test_what_was_not_appended_leaves_its_room(capacity: ClaimCapacity) -> None:
    for _ in range(5):
        with capacity.reserve("shop", ["a"]) as one:
            one.check()
    append(capacity, 1)
    assert [len(one) for one in capacity._reserved.values()] == [1]


def test_a_thousand_claims_with_all_their_paths_have_room() -> None:
    size = OpenSize(waiting=1000, paths=1000 * MAX_PATHS, path_chars=1000 * MAX_PATHS * 64)
    fold = Fold(sizes={"shop": size})
    append(ClaimCapacity(fold), 1, *["path"] * MAX_PATHS)
    assert MAX_OPEN_CLAIMS > 1000
