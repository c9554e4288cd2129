"""A digest counts every notice, however many there are."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from domain.notices.digest import FIRST, Share, digest
from domain.notices.message import Message, Notice

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
_shares = st.lists(
    st.builds(
        Share,
        st.sampled_from(["failed", "canceled", "runs-over 1h"]),
        st.sampled_from(["", "shop", "api"]),
        st.sampled_from(["", "host-1", "host-2"]),
        st.integers(1, 10_000),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda one: (one.name, one.place, one.runner_id),
)


def _message(number: int) -> Message:
    notice = Notice(name="failed", text=f"failed: task {number}\nwhy")
    return Message(id=f"e{number}", type="towpath.task.failed.v1", subject="t", at=AT, notice=notice)


@given(_shares)
def test_it_counts_all_and_names_the_first(shares: list[Share]) -> None:
    number = sum(share.count for share in shares)
    first = [_message(n) for n in range(min(number, FIRST))]
    made = digest(AT, shares, first)
    lines = made.notice.text.splitlines()
    assert made.data["count"] == sum(group["count"] for group in made.data["groups"]) == number
    assert lines[0].startswith(f"{number} notices: ")
    assert lines[1 : 1 + len(first)] == [f"* failed: task {n}" for n in range(len(first))]
    assert (f"and {number - len(first)} more" in lines) == (number > len(first))


def test_what_it_reads() -> None:
    shares = [
        Share("failed", "shop", "host-3", 9),
        Share("failed", "shop", "host-1", 3),
        Share("canceled", "", "host-1", 1),
        Share("runs-over 1h", "api", "host-2", 2),
    ]
    made = digest(AT, shares, [_message(n) for n in range(9)])
    assert made.id == "digest_e0"
    assert made.type == "towpath.notices.digest.v1"
    assert made.notice.text.splitlines()[0] == (
        "15 notices: 12 failed in shop, 9 of them on host-3; 2 runs-over 1h in api on host-2; "
        "1 canceled on host-1"
    )
    assert made.notice.text.splitlines()[-1] == "and 10 more"
