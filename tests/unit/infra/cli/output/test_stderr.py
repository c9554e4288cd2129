"""Long lines are folded on a terminal."""

from __future__ import annotations

import io

import pytest

from infra.cli.output.stderr import folded


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_terminal_folds_between_words(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    text = "  waits for " + "a-path/of-a/workspace and " * 9 + "x" * 100
    lines = folded(text, terminal).split("\n")
    assert max(map(len, lines[:-1])) <= width
    assert " ".join(" ".join(lines).split()) == " ".join(text.split())
    assert folded(text, io.StringIO()) == text
