"""What leaves the host is the end of the output, without a trace of the secrets."""

from __future__ import annotations

from pathlib import Path

from domain.wire import OUTPUT_TAIL_BYTES
from runner.redaction import output_tail, redact


def test_masks_every_secret_the_longest_first() -> None:
    assert redact("key=abcdef abc", ["abc", "abcdef"]) == "key=[redacted] [redacted]"


def test_leaves_very_short_values_alone() -> None:
    assert redact("1 of 10", ["1", "10", ""]) == "1 of 10"


def test_tail_is_the_end(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_bytes(b"a" * 20_000 + b"end")
    tail = output_tail(file, [])
    assert tail is not None
    assert len(tail) == OUTPUT_TAIL_BYTES
    assert tail.endswith("aend")


def test_no_part_of_a_secret_at_the_cut(tmp_path: Path) -> None:
    secret = "s3cr3t-" * 10
    file = tmp_path / "out"
    for shift in range(len(secret) + 2):
        file.write_text("x" * 5000 + secret + "y" * (OUTPUT_TAIL_BYTES - shift))
        assert "3cr" not in (output_tail(file, [secret]) or "")


def test_no_output_is_none(tmp_path: Path) -> None:
    assert output_tail(tmp_path / "missing", ["abc"]) is None
    (tmp_path / "empty").touch()
    assert output_tail(tmp_path / "empty", []) is None


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"\xff\xfeabc")
    assert output_tail(tmp_path / "out", []) == "\ufffd\ufffdabc"
