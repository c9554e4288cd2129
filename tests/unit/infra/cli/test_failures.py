"""What a process says when it cannot go on: words for people, and of faults that nobody foresaw the kind."""

from __future__ import annotations

import asyncio

import pytest

from infra.config.settings import Settings
from infra.runtime.processes import _until_signal
from runner.errors import RunnerConfigError


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RunnerConfigError("give another address"), "towpath: give another address\n"),
        (KeyError("pool"), "towpath: KeyError: 'pool'\n"),
        (ExceptionGroup("parts", [RunnerConfigError("one"), OSError("two")]), "towpath: one; OSError: two\n"),
    ],
    ids=["foreseen", "unforeseen", "several"],
)
def test_last_words(error: Exception, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    async def main(_: Settings, __: asyncio.Event) -> None:
        raise error

    assert asyncio.run(_until_signal(main, Settings(), ())) == 1
    assert capsys.readouterr().err.endswith(said)
