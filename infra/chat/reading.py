"""Commands that only look: /tasks, /task, /why, /log, /locks, /runners."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import islice

from domain.chat.cards import Card, Rows
from domain.chat.people import OPERATOR, User
from domain.chat.text import MOST_UNITS, cut, inert, last_lines, printed, units
from infra.chat import words
from infra.chat.answers import Answer, answer, new_card_id, with_output
from infra.chat.finding import Finding
from towpath_client import AsyncClient, Task, TaskFilters, problems

PAGE = 8
MOST_PAGES = 25
LOG_LINES = 40
LOG_BYTES = 16 * 1024
RUNNERS = 50
WORKSPACES = 20
STATUSES = ("created", "dispatched", "queued", "running", "succeeded", "failed", "canceled", "submit-failed")


class Reading:
    """Answers from the API. `base_url`: where people reach the console, None where that is not known."""

    def __init__(self, clock: Callable[[], datetime], base_url: str | None) -> None:
        self._clock = clock
        self._base_url = base_url
        self.finding = Finding(clock)

    async def tasks(self, api: AsyncClient, wanted: str, page: int, card: Card | None = None) -> Answer:
        """A page of the newest tasks that fit; its buttons turn the pages."""
        page = min(max(page, 0), MOST_PAGES - 1)
        first = page * PAGE
        found = list[Task]()
        async for task in api.tasks(**_filter(wanted)):
            found.append(task)
            if len(found) > first + PAGE:
                break
        more = len(found) > first + PAGE and page + 1 < MOST_PAGES
        return self._page(found[first : first + PAGE], wanted, page, more, card)

    def _page(self, found: list[Task], wanted: str, page: int, more: bool, card: Card | None) -> Answer:
        now = self._clock()
        about = f" ({inert(wanted)})" if wanted else ""
        if not found:
            text = f"no tasks{about}" if page == 0 else f"no more tasks{about}"
        else:
            text = "\n".join(words.line(task, now) for task in found)
        row = [("← newer", f"p{page - 1}")] if page > 0 else []
        row += [("older →", f"p{page + 1}")] if more else []
        if not row:
            return Answer(cut(text), card)
        card = card or Card(new_card_id(), "pages", data={"filter": wanted})
        return Answer(cut(text), card, [row])

    async def task(self, api: AsyncClient, user: User, reference: str) -> Answer:
        """A task with buttons for what may be asked and done next."""
        found = await self.finding.task(api, reference)
        if isinstance(found, Answer):
            return found
        return self.shown_task(found, user, words.summary(found, self._clock(), self._base_url))

    def shown_task(self, task: Task, user: User, text: str) -> Answer:
        """`text` about a task, with its buttons."""
        card = Card(new_card_id(), "task", task.id, task.attempt)
        return answer(text, card, task_rows(task, user))

    async def why(self, api: AsyncClient, reference: str) -> Answer:
        """The sentence of `towpath why`."""
        found = await self.finding.task(api, reference)
        if isinstance(found, Answer):
            return found
        why = await api.why(found.id)
        return answer(f"{words.title(found)}\n{inert(why.sentence)}")

    async def log(self, api: AsyncClient, reference: str) -> Answer:
        """The last lines of a task's output."""
        found = await self.finding.task(api, reference)
        if isinstance(found, Answer):
            return found
        head = f"{words.title(found)}: {words.status(found)}"
        try:
            part = await api.output_range(found.id, offset=-LOG_BYTES, limit=LOG_BYTES)
            text = part.content.decode("utf-8", "replace")
        except (problems.NotFound, problems.Unavailable):
            text = found.output_tail or ""
        room = MOST_UNITS - units(head) - 200
        output = last_lines(printed(text), LOG_LINES, room)
        return with_output(head, output) if output.strip() else answer(f"{head}\nno output")

    async def locks(self, api: AsyncClient, workspace: str) -> Answer:
        """Who holds and who waits."""
        lines = list[str]()
        try:
            async for one in api.locks(workspace or None):
                lines += words.locks_of(one, self._clock())
                if len(lines) > WORKSPACES * 5:
                    lines.append("… more: name a workspace")
                    break
        except problems.NoSuchWorkspace:
            return answer(f"there is no workspace {inert(workspace)}")
        held = any(line.startswith(" ") for line in lines)
        return answer("\n".join(lines)) if held else answer("nothing holds a lock, and nothing waits for one")

    async def runners(self, api: AsyncClient) -> Answer:
        """All runners, a line each."""
        found = [one async for one in api.runners()]
        lines = [words.runner_line(one, self._clock()) for one in islice(found, RUNNERS)]
        if len(found) > RUNNERS:
            lines.append(f"… and {len(found) - RUNNERS} more")
        return answer("\n".join(lines) or "there are no runners")


def task_rows(task: Task, user: User) -> Rows:
    """What can be asked and done next about a task."""
    rows = [[("why", "why"), ("log", "log")]]
    if user.may(OPERATOR) and not task.ended:
        held = words.held(task) is not None
        rows.append([("cancel…", "cancel"), *([("release…", "release")] if held else [])])
    return rows


def _filter(wanted: str) -> TaskFilters:
    """What `/tasks` lists by: a status, `asking`, `waiting`, or words of the title."""
    found = TaskFilters()
    listed = [word.lower() for word in wanted.split()]
    status = [word for word in listed if word in STATUSES]
    words_of_title = [word for word in listed if word not in (*STATUSES, "asking", "waiting")]
    if status:
        found["status"] = status
    if "asking" in listed:
        found["asking"] = True
    if "waiting" in listed:
        found["lock"] = "waiting"
    if words_of_title:
        found["q"] = " ".join(words_of_title)[:200]
    return found
