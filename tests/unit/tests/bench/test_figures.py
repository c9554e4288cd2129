"""What the bench makes of its turns."""

from __future__ import annotations

from tests.bench.figures import middle_turn


def test_the_turn_with_the_middle_ratio_is_shown_whole() -> None:
    # By medians apart this would be 30 of 100: the machine was twice as fast in the second turn.
    assert middle_turn([30.0, 56.0, 26.0], [100.0, 200.0, 100.0]) == (56.0, 200.0)
    assert middle_turn([30.0, 20.0], [100.0, 100.0]) == (20.0, 100.0)
    assert middle_turn([7.0], [10.0]) == (7.0, 10.0)
