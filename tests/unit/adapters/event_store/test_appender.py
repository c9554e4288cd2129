"""What JetStream's refusal of an append means for whoever asked for it."""

from __future__ import annotations

import pytest

from adapters.event_store.appender import AppendRejected, refusal
from domain.errors import LogFull


@pytest.mark.parametrize(
    ("code", "words", "means"),
    [
        (10077, "maximum bytes exceeded", LogFull),
        (10077, "write failed: no space left on device", LogFull),
        (10047, "insufficient storage resources available", LogFull),
        (10023, "insufficient resources", LogFull),
        (10002, "resource limits exceeded for account", LogFull),
        (10054, "message size exceeds maximum allowed", AppendRejected),
    ],
)
def test_what_is_final(code: int, words: str, means: type[Exception]) -> None:
    assert type(refusal({"err_code": code, "description": words})) is means


@pytest.mark.parametrize("code", [10071, 10164, 10158, 10008, 10077])
def test_what_has_to_be_read_back(code: int) -> None:
    assert refusal({"err_code": code, "description": "try again"}) is None
