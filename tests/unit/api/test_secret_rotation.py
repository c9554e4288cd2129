"""Two live tokens and keys: what was handed out before is still accepted, and what is new is used."""

from __future__ import annotations

import pytest

from adapters.crypto.env_encryption import AesGcmEnvCipher
from api.config import ApiConfig, ApiConfigError
from domain.ports.dispatch import EnvUnreadable
from domain.runners.attempt_token import AttemptTokens
from tests.unit.api.api_harness import api_harness, problem

OLD, NEW = "the-old-token", "the-new-token"


async def test_both_callback_tokens_are_accepted_until_the_previous_one_is_taken_away() -> None:
    async with api_harness(ApiConfig(callback_token=NEW, callback_token_previous=OLD)) as harness:
        task = await harness.dispatched()
        for token in (OLD, NEW):
            assert (await harness.report(task["id"], "running", token)).is_success
        problem(await harness.report(task["id"], "running", "another"), 401, "unauthorised")
        problem(await harness.report(task["id"], "running"), 401, "unauthorised")
    async with api_harness(ApiConfig(callback_token=NEW)) as harness:
        task = await harness.dispatched()
        problem(await harness.report(task["id"], "running", OLD), 401, "unauthorised")


def test_a_previous_token_alone_protects_nothing_and_is_refused() -> None:
    with pytest.raises(ApiConfigError, match="API_RUNNER_CALLBACK_TOKEN"):
        ApiConfig(callback_token_previous=OLD)


def test_an_attempt_token_and_sealed_values_of_the_previous_key_still_open() -> None:
    before, after = b"k" * 32, b"l" * 32
    token = AttemptTokens(before).mint("t", 1, 7)
    sealed = AesGcmEnvCipher(before).encrypt("t", {"A": "value"})
    assert AttemptTokens(after, before).check("t", token) is not None
    assert AesGcmEnvCipher(after, before).decrypt("t", sealed) == {"A": "value"}
    assert AttemptTokens(after).check("t", token) is None
    with pytest.raises(EnvUnreadable, match="another secret key"):
        AesGcmEnvCipher(after).decrypt("t", sealed)
    both = AesGcmEnvCipher(after, before)
    assert AesGcmEnvCipher(after).decrypt("t", both.encrypt("t", {"A": "new"})) == {"A": "new"}


async def test_versions_are_named() -> None:
    async with api_harness() as harness:
        found = (await harness.http.get("/version")).json()
        assert found == {"program": harness.app.version, "contract": "1", "nats_server": "2.15.1"}
