"""`towpath mcp` as agents use it: over real pipes, with the client of `mcp`, against a running Towpath."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp_types import TextContent, TextResourceContents

from tests.support.towpath import DEADLINE, TOWPATH, Home, Up
from tests.support.waiting import eventually

TOOLS = {"run", "logs", "why", "locks", "claim", "release", "ask", "trail"}
WITHOUT = "import sys; sys.modules['{}'] = None; from infra.entry import main; main()"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A Towpath with short leases, so that a killed agent is soon seen to be gone."""
    home = Home(tmp_path_factory.mktemp("agents"))
    yield home.up(TOWPATH_LEASE_SECONDS="6")
    home.close()


class Agent:
    """One agent's session."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def __call__(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The answer of a tool that must work."""
        failed, text = await self._called(tool, arguments)
        assert not failed, text
        answer: dict[str, Any] = json.loads(text)
        return answer

    async def refused(self, tool: str, **arguments: Any) -> str:
        """The words of a tool's error."""
        failed, text = await self._called(tool, arguments)
        assert failed, text
        return text

    async def read(self, uri: str) -> dict[str, Any]:
        [content] = (await self._client.read_resource(uri)).contents
        assert isinstance(content, TextResourceContents)
        found: dict[str, Any] = json.loads(content.text)
        return found

    async def _called(self, tool: str, arguments: dict[str, Any]) -> tuple[bool, str]:
        result = await self._client.call_tool(tool, arguments, read_timeout_seconds=DEADLINE)
        content = result.content[0]
        assert isinstance(content, TextContent)
        return result.is_error, content.text


@asynccontextmanager
async def agent(up: Up, root: Path, pid_file: Path | None = None) -> AsyncIterator[Agent]:
    written = pid_file if pid_file is not None else os.devnull
    server = StdioServerParameters(
        command="sh",
        args=["-c", f'echo $$ > "{written}"; exec "{TOWPATH}" mcp'],
        cwd=root,
        env={**up.home.env, "TOWPATH_URL": up.url},
    )
    async with Client(server) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == TOOLS
        yield Agent(client)


async def test_an_agent_uses_every_tool(up: Up) -> None:
    root = up.workspace("tools")
    async with agent(up, root) as call:
        claim = await call("claim", paths=["src/api"], title="change the API")
        assert (claim["workspace"], claim["state"]) == ("tools", "held")
        assert up.holders() == {claim["claim"]: claim["token"]}
        found = await call("locks")
        assert [one["id"] for one in found["workspaces"] if one["here"]] == ["tools"]
        assert [one["claim"] for one in found["my_claims"]] == [claim["claim"]]
        assert found["locks"][0]["holders"][0]["paths"] == ["src/api"]

        failing = ["sh", "-c", "seq 2000; exit 3"]
        timeout = {"timeout_seconds": 300.0, "timeout_pauses": True}
        ran = await call("run", command=failing, workspace="tools", paths=["lib"], wait_seconds=50, **timeout)
        assert (ran["ended"], ran["status"], ran["exit_code"]) == (True, "failed", 3)
        assert {name: up.task(ran["id"])[name] for name in timeout} == timeout
        assert ran["untrusted_output"].endswith("1999\n2000\n")
        assert (ran["size"], ran["next_offset"], ran["more"]) == (8893, 8893, False)
        first = await call("logs", id=ran["id"], offset=0, limit=4)
        assert (first["untrusted_output"], first["next_offset"], first["more"]) == ("1\n2\n", 4, True)
        assert (await call("logs", id=ran["id"], offset=4, limit=2))["untrusted_output"] == "3\n"
        assert "exited with code 3" in (await call("why", id=ran["id"]))["sentence"]

        waiting = await call("run", command=["true"], workspace="tools", paths=["src"])
        assert claim["claim"] in waiting["advice"]
        assert "change the API" in waiting["waits_for"]

        question = {"question": "Delete it?", "choices": ["yes", "no"], "wait_seconds": 1}
        asked = await call("ask", **question)
        assert (asked["state"], asked["task_id"]) == ("open", claim["claim"])
        assert up.towpath("answer", asked["task_id"], "no").returncode == 0
        again = {name: asked[name] for name in ("task_id", "question_id")}
        answered = await call("ask", **question, **again)
        assert (answered["state"], answered["answer"], answered["by"]) == ("answered", "no", "api")

        trail = await call("trail", id=claim["claim"], limit=2)
        assert [one["event"] for one in trail["untrusted_events"]] == ["asked", "answered"]
        before = trail["before_seq_for_earlier_ones"]
        earlier = await call("trail", id=claim["claim"], before_seq=before)
        names = [one["event"] for one in earlier["untrusted_events"]]
        assert names == ["created", "dispatched", "granted", "running"]

        assert (await call.read(f"towpath://tasks/{claim['claim']}"))["token"] == claim["token"]
        tasks = (await call.read("towpath://workspaces/tools"))["tasks"]
        assert {ran["id"], claim["claim"], waiting["id"]} == {one["id"] for one in tasks}

        assert await call("release", claim=claim["claim"]) == {"released": claim["claim"]}
        await eventually(lambda: up.ended(waiting["id"]), DEADLINE)
        assert up.task(waiting["id"])["status"] == "succeeded"
        assert "no claim of this session" in await call.refused("release", claim=claim["claim"])
        assert "no-such-task" in await call.refused("why", id="01890000-0000-7000-8000-000000000000")
        assert "claim something first" in await call.refused("ask", question="Which one?", free_text=True)


async def test_a_claim_that_conflicts_is_refused_at_once_and_named(up: Up) -> None:
    root = up.workspace("conflict")
    async with agent(up, root) as one, agent(up, root) as other:
        claim = await one("claim", paths=["src"], title="rename a module")
        words = await other.refused("claim", paths=["src/api"])
        assert "rename a module" in words
        assert claim["claim"] in words
        assert "your own claim" in await one.refused("claim", paths=["src", "docs"])
        assert "no claim of this session" in await other.refused("release", claim=claim["claim"])
        assert (await other("claim", paths=["docs"]))["granted"]
        assert up.get("/workspaces/conflict/locks")["waiters"] == []
        await one("release", claim=claim["claim"])
        assert (await other("claim", paths=["src/api"]))["granted"]


async def test_a_claim_that_is_released_by_hand_is_reported_as_lost(up: Up) -> None:
    async with agent(up, up.workspace("lost")) as call:
        claim = (await call("claim", paths=[]))["claim"]
        up.post(f"/tasks/{claim}/locks/release", {"reason": "it hangs"})

        async def lost() -> bool:
            return (await call("locks")).get("lost_claims") == [claim]

        await eventually(lost, DEADLINE)
        assert "others may have worked" in await call.refused("release", claim=claim)


async def test_a_killed_server_gives_everything_back(up: Up, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    async with agent(up, up.workspace("killed"), pid_file) as call:
        claim = (await call("claim", paths=["src"]))["claim"]
        os.kill(int(pid_file.read_text()), signal.SIGKILL)
        await eventually(lambda: claim not in up.holders(), DEADLINE)
    assert up.task(claim)["reason"] == "runner-lost"


@pytest.mark.parametrize("way", ["stdin", "stdout", "stdin, stdout", "SIGTERM"])
async def test_an_orderly_end_gives_everything_back_at_once(up: Up, way: str) -> None:
    root = up.workspace(f"end-{way.lower().replace(', ', '-')}")
    with subprocess.Popen(
        [TOWPATH, "mcp"],
        cwd=root,
        env={**up.home.env, "TOWPATH_URL": up.url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stderr is not None
        about = {"name": "test", "version": "1"}
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": about}
        send(server, "initialize", 1, hello)
        assert "untrusted_" in json.loads(server.stdout.readline())["result"]["instructions"]
        send(server, "notifications/initialized", None, {})
        send(server, "tools/call", 2, {"name": "claim", "arguments": {"paths": []}})
        answer = json.loads(server.stdout.readline())["result"]
        claim = json.loads(answer["content"][0]["text"])["claim"]
        assert claim in up.holders()
        if "stdin" in way:
            server.stdin.close()
        if "stdout" in way:
            server.stdout.close()
        if way == "SIGTERM":
            server.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(server.wait, DEADLINE)
        task = up.task(claim)
        assert (code, task["status"]) == (143 if way == "SIGTERM" else 0, "succeeded")
        assert claim not in up.holders()
        assert task["runner_id"] not in [one["id"] for one in up.get("/runners")["items"]]
        assert ("" if "stdout" in way else server.stdout.read(), server.stderr.read()) == ("", "")


def send(server: subprocess.Popen[str], method: str, number: int | None, params: dict[str, Any]) -> None:
    assert server.stdin is not None
    id_of_it = {} if number is None else {"id": number}
    server.stdin.write(json.dumps({"jsonrpc": "2.0", **id_of_it, "method": method, "params": params}) + "\n")
    server.stdin.flush()


@pytest.mark.parametrize(("module", "package"), [("mcp", "mcp"), ("towpath_client", "towpath-client")])
def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    home: Home, module: str, package: str
) -> None:
    ended = home.program(sys.executable, "-c", WITHOUT.format(module), "mcp")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"towpath mcp needs {package}: install" in ended.stderr
    assert "pip install 'towpath[mcp]'" in ended.stderr
