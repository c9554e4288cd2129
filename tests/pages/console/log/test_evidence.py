"""Evidence: checkpoints and their export, recorded verifications, dead letters and who settled them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from playwright.sync_api import expect

from adapters.nats.client import new_client
from adapters.queues.dead_letters import JetStreamDeadLetters
from tests.pages.conftest import TOKENS, running
from tests.pages.console.conftest import HOSTILE, Opener, every_view
from tests.support.towpath import Up

pytestmark = pytest.mark.pages

LARGE = "12345678901234567890123"


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """With checkpoints soon after each event, and a token of each role, named like its role."""
    entries = ",".join(f"{role}=my-{role}:{token}" for role, token in TOKENS.items())
    often = {"TOWPATH_CHECKPOINT_EVENTS": "2", "TOWPATH_CHECKPOINT_SECONDS": "1"}
    with running(tmp_path_factory.mktemp("sealed"), TOWPATH_API_TOKENS=entries, **often) as up:
        for number in range(5):
            asked(up, "operator", "POST", "/tasks", {"command": ["true"], "title": f"task {number}"})
        yield up


def asked(up: Up, role: str, method: str, path: str, body: object = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {TOKENS[role]}"}
    answer = httpx.request(method, up.url + path, json=body, headers=headers, timeout=30)
    assert answer.is_success, answer.text
    return answer


def keep(up: Up, kind: str, subject: str, body: str, reason: str, detail: str) -> int:
    """A dead letter."""

    async def kept() -> int:
        connection = new_client("plain")
        password = (up.data_dir / "nats-password").read_text().strip()
        await connection.connect(f"nats://127.0.0.1:{up.nats_port}", user="towpath", password=password)
        try:
            letters = JetStreamDeadLetters(connection)
            await letters.keep(kind, subject, body.encode(), reason, detail)
            return await letters.last_seq()
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as beside:  # Playwright's own loop runs in this thread
        return beside.submit(lambda: asyncio.run(kept())).result()


def record(up: Up, **result: object) -> None:
    body = {"ok": True, "events": 5, "command": "towpath verify --record", "host": "elsewhere", **result}
    asked(up, "auditor", "POST", "/verifications", body)


@every_view
@pytest.mark.parametrize("which", ["full", "past", "forbidden"])
def test_the_page_of_evidence_is_at_fault_for_no_screen_reader_or_narrow_window(
    sealed: Up, screen: Opener, which: str, width: int, height: int, scheme: str
) -> None:
    keep(sealed, "heartbeat", HOSTILE, json.dumps({"note": HOSTILE}), "wrong-runner", HOSTILE)
    record(sealed, notes=[HOSTILE], command=f"towpath verify {HOSTILE}")
    window = screen(sealed, width, height, scheme, bypass_csp=True, reduced_motion="reduce")
    window.expected.append("401")
    page = window.open("/evidence?at=1" if which == "past" else "/evidence")
    window.log_in("viewer" if which == "forbidden" else "admin")
    if which == "past":
        expect(page.get_by_text("Checkpoints are made about the log")).to_be_visible()
    elif which == "forbidden":
        expect(page.get_by_text("needs the role auditor")).to_have_count(2)
        expect(page.get_by_text("needs the role operator")).to_have_count(1)
    else:
        expect(page.locator(".dead-table summary").first).to_be_visible()
        expect(page.locator(".verification-table tbody tr").first).to_be_visible()
        page.locator(".dead-table summary").first.click()
        expect(page.locator(".dead-table pre").first).to_contain_text("<img src=x")
    assert page.title() != "owned"
    window.has_no_fault()


def test_checkpoints_tell_what_they_cover_and_are_exported_as_verify_reads_them(
    sealed: Up, screen: Opener
) -> None:
    window = screen(sealed, accept_downloads=True)
    window.expected.append("401")
    page = window.open("/evidence")
    window.log_in("auditor")
    expect(page.get_by_text("Covered up to 5 of 5.")).to_be_visible()
    assert page.locator(".checkpoint-table tbody tr").count() >= 2
    with page.expect_download() as download:
        page.get_by_role("link", name="Export checkpoints").click()
    file = sealed.home.path / "from-the-console.jsonl"
    download.value.save_as(file)
    command = page.locator(".elsewhere pre").inner_text()
    assert f"--nats-url nats://127.0.0.1:{sealed.nats_port} " in command
    key = command.partition("--public-key ")[2].split()[0]
    verified = sealed.home.run(
        "verify", "--checkpoints", file, "--public-key", key, "--data-dir", sealed.data_dir,
        "--nats-port", sealed.nats_port, "-o", "json",
    )  # fmt: skip
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout)["exported"]["covered_upto"] == 5


def test_verifications_tell_who_when_what_and_how(sealed: Up, screen: Opener) -> None:
    found = {"seq": 3, "kind": "chain", "sentence": "what stands there is another one"}
    record(
        sealed, ok=False, first_bad_seq=3, findings=[found], command="towpath verify --checkpoints kept.jsonl"
    )
    window = screen(sealed)
    window.expected.append("401")
    page = window.open("/evidence")
    window.log_in("auditor")
    row = page.locator(".verification-table tbody tr").first
    for words in ("auditor:my-auditor", "elsewhere", "damaged", "1 to 5", "another one", "kept.jsonl"):
        expect(row).to_contain_text(words)
    row.get_by_role("link", name="3", exact=True).click()
    expect(page.locator(".crumbs")).to_contain_text("Log / 3")


@pytest.mark.parametrize("role", ["auditor", "operator", "admin"])
def test_who_may_replay_and_drop_dead_letters(sealed: Up, screen: Opener, role: str) -> None:
    seq = keep(sealed, "report", "t", f'{{"big":{LARGE},"of":"{role}"}}', "gave-up", "tried 20 times")
    window = screen(sealed)
    window.expected.append("401")
    page = window.open("/evidence")
    window.log_in(role)
    row = page.locator(f"[data-letter='{seq}']")
    if role == "auditor":
        expect(page.get_by_text("needs the role operator")).to_be_visible()
        assert row.count() == 0
        return
    row.locator("summary").click()
    expect(row.locator("pre")).to_contain_text(f'"big": {LARGE}')
    expect(row.get_by_role("button", name="Replay")).to_be_enabled()
    drop = row.get_by_role("button", name="Drop")
    if role == "operator":
        expect(drop).to_be_disabled()
        expect(row.get_by_text("needs admin")).to_be_visible()
        window.expected.append("409")
        row.get_by_role("button", name="Replay").click()
        expect(page.locator(".message.bad")).to_contain_text("cannot be replayed")
        return
    drop.click()
    page.get_by_role("dialog").get_by_label("Reason").fill(f"seen <b>{seq}</b>")
    page.keyboard.press("Enter")
    expect(row).to_have_count(0)
    expect(page.locator(".settled li").first).to_contain_text(
        f"admin:my-admin dropped {seq}: seen <b>{seq}</b>"
    )
