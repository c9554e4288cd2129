"""Log lines: one JSON object each, on stderr, and never a secret in them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextvars import copy_context
from typing import Any

import pytest
import structlog

from domain.context.log_context import about, be_about, be_about_task
from domain.context.trace import under_traceparent, use_traceparent
from infra.config.settings import load_settings
from infra.telemetry.logging import configure_logging, secrets_of

SECRET = 'hunter"22'


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    out, err = capsys.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def test_both_kinds_of_loggers_write_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(load_settings())
    structlog.get_logger("ours").info("granted", task_id="t", token=41)
    logging.getLogger("theirs").warning("lost %s", "it")
    ours, theirs = lines(capsys)
    assert (ours["message"], ours["level"], ours["task_id"], ours["token"]) == ("granted", "info", "t", 41)
    assert (theirs["message"], theirs["level"], theirs["logger"]) == ("lost it", "warning", "theirs")
    assert ours["timestamp"].endswith("Z")


def test_a_line_for_a_stream_that_was_closed_is_dropped_without_a_word(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        closed = io.StringIO()
        patch.setattr("sys.stderr", closed)
        configure_logging(load_settings())
    closed.close()
    logging.getLogger("theirs").warning("lost")
    assert capsys.readouterr() == ("", "")


def test_what_belongs_to_a_trace_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(load_settings())

    def handle() -> None:
        use_traceparent(f"00-{'a' * 32}-{'b' * 16}-01")
        structlog.get_logger("ours").info("in")

    copy_context().run(handle)
    structlog.get_logger("ours").info("out")
    inside, outside = lines(capsys)
    assert (inside["trace"], "trace" in outside) == ("a" * 32, False)


def test_a_line_says_what_the_work_at_hand_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(load_settings())
    log = structlog.get_logger("ours")

    def handle() -> None:
        be_about_task("one")
        log.info("known: the task")
        be_about("one", 2, 41)
        be_about_task("one")
        logging.getLogger("theirs").warning("known: all")
        log.info("of another", task="two", sequence=None)
        with about("three", 1):
            log.info("within", sequence=7)
        be_about(None)
        log.info("of none")

    copy_context().run(handle)
    about_what = [
        {name: line[name] for name in ("task", "attempt", "sequence") if name in line}
        for line in lines(capsys)
    ]
    assert about_what == [
        {"task": "one"},
        {"task": "one", "attempt": 2, "sequence": 41},
        {"task": "two"},
        {"task": "three", "attempt": 1, "sequence": 7},
        {},
    ]


def test_what_every_line_has_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(load_settings())
    with about("t", 1, 5), under_traceparent(f"00-{'a' * 32}-{'b' * 16}-01"):
        structlog.get_logger("ours").info("granted", workspace="shop")
    (line,) = lines(capsys)
    first = ["timestamp", "level", "message", "task", "attempt", "sequence", "trace", "logger", "workspace"]
    assert list(line) == first


def test_the_level_holds(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(load_settings(log_level="warning"))
    structlog.get_logger("ours").info("no")
    logging.getLogger("theirs").info("no")
    logging.getLogger("httpx").info("no")
    structlog.get_logger("ours").error("yes")
    assert [line["message"] for line in lines(capsys)] == ["yes"]


def test_secrets_are_hidden_wherever_they_stand(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(load_settings(runner_token=SECRET, nats_url="nats://u:pass%2Fword@n"), ["extra-secret"])
    log = structlog.get_logger("ours")
    log.info(f"got {SECRET}", header={"x": [SECRET]}, url="nats://u:pass%2Fword@n", plain="pass/word")
    log.info("more", extra="extra-secret", password="unknown one", x_runner_token="another")
    try:
        raise ValueError(SECRET)
    except ValueError:
        log.exception("failed")
    out, err = capsys.readouterr()
    for secret in (
        SECRET,
        json.dumps(SECRET)[1:-1],
        "pass%2Fword",
        "pass/word",
        "extra-secret",
        "unknown one",
    ):
        assert secret not in err
    assert "another" not in err
    assert "ValueError: ***" in err
    assert out == ""


def test_every_part_of_a_list_of_secrets_counts() -> None:
    settings = load_settings(api_tokens="admin:one:a, viewer:two2", secret_key=f"{'k' * 16},{'l' * 16}")
    assert {"one:a", "two2", "k" * 16, "l" * 16} <= set(secrets_of(settings))


def test_configuring_again_does_not_double(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(load_settings())
    configure_logging(load_settings())
    structlog.get_logger("ours").info("once")
    assert len(lines(capsys)) == 1
