"""Long JSON answers to a GET are compressed for callers that want it; nothing else is held or changed."""

from __future__ import annotations

import gzip

import pytest
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from api.middleware.compression import INLINE_BYTES, LEAST_BYTES, Compress, accepted_codings
from tests.unit.api.api_harness import ApiHarness

GZIP = {"Accept-Encoding": "gzip, deflate, br"}
PLAIN = {"Accept-Encoding": "identity"}


async def test_a_long_list_is_the_same_compressed(harness: ApiHarness) -> None:
    for number in range(20):
        await harness.create(title=f"task {number}")
    plain = await harness.http.get("/tasks", headers=PLAIN)
    small = await harness.http.get("/tasks", headers=GZIP)
    assert small.json() == plain.json()
    assert (plain.headers.get("content-encoding"), small.headers["content-encoding"]) == (None, "gzip")
    assert small.headers["vary"] == "Accept-Encoding"
    assert int(small.headers["content-length"]) < int(plain.headers["content-length"]) / 4


async def test_short_answers_problems_other_types_and_commands_are_not_compressed(
    harness: ApiHarness,
) -> None:
    task = await harness.create(command=["true", "x" * 2 * LEAST_BYTES])
    asked = {
        "/workspaces": 200,
        f"/tasks?{'x' * 3000}=1": 422,
        "/docs": 200,
        "/metrics": 200,
    }
    for url, status in asked.items():
        answer = await harness.http.get(url, headers=GZIP)
        assert (answer.status_code, answer.headers.get("content-encoding")) == (status, None), url
    answer = await harness.http.post(f"/tasks/{task['id']}/dispatch", headers=GZIP)
    assert len(answer.content) > LEAST_BYTES
    assert "content-encoding" not in answer.headers


async def sent(kind: bytes, *body: bytes, method: str = "GET", known: bool = True) -> list[Message]:
    """What leaves the middleware when the application sends `body` in parts."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"content-type", kind)]
        if known:
            headers.append((b"content-length", b"%d" % sum(map(len, body))))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for index, part in enumerate(body):
            more = index + 1 < len(body)
            await send({"type": "http.response.body", "body": part, "more_body": more})
            if more:
                assert got[-1]["body"] == part, "a part was held back"

    got: list[Message] = []

    async def keep(message: Message) -> None:
        got.append(message)

    async def hear() -> Message:
        return {"type": "http.request"}

    scope = {"type": "http", "method": method, "headers": [(b"accept-encoding", b"gzip")]}
    await Compress(app)(scope, hear, keep)
    return got


@pytest.mark.parametrize("size", [LEAST_BYTES, INLINE_BYTES + 1])
async def test_a_whole_answer_has_one_start_and_its_own_length(size: int) -> None:
    start, body = await sent(b"application/json", b"7" * size)
    headers = Headers(raw=start["headers"])
    assert (headers["content-encoding"], headers["content-length"]) == ("gzip", str(len(body["body"])))
    assert gzip.decompress(body["body"]) == b"7" * size


@pytest.mark.parametrize(
    ("kind", "parts", "more"),
    [
        (b"text/event-stream", [b"data: 1\n\n", b"data: 2\n\n"], {"known": False}),
        (b"application/x-ndjson", [b"1\n" * 5000, b"2\n"], {"known": False}),
        (b"application/octet-stream", [b"0" * 5000], {}),
        (b"application/json", [b"[" * 5000, b"]"], {}),
        (b"application/json", [b"[" * 5000, b"]"], {"known": False}),
        (b"application/json", [b"7" * (LEAST_BYTES - 1)], {}),
        (b"application/json", [b"7" * 5000], {"method": "POST"}),
    ],
)
async def test_all_else_passes_at_once_and_unchanged(
    kind: bytes, parts: list[bytes], more: dict[str, bool]
) -> None:
    start, *bodies = await sent(kind, *parts, **more)  # type: ignore[arg-type]
    assert [one["body"] for one in bodies] == parts
    assert "content-encoding" not in Headers(raw=start["headers"])


@pytest.mark.parametrize(
    ("header", "codings"),
    [
        ("gzip, deflate", {"gzip", "deflate"}),
        ("GZIP;q=0.5,br", {"gzip", "br"}),
        ("gzip;q=0, br;q=0.0", set()),
        ("gzip; q=0.001", {"gzip"}),
    ],
)
def test_codings_that_a_caller_accepts(header: str, codings: set[str]) -> None:
    assert accepted_codings(Headers({"accept-encoding": header})) == codings
