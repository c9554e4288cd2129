"""Commands that change something: /run, /cancel, /release. The last two ask once more, within a minute.

What a second button does is decided when it is shown: it names the attempt, the fencing token and the holder,
and the API refuses it once they are no longer so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from domain.chat.cards import CONFIRM_WITHIN, REASON_WITHIN, Card, Kind
from domain.chat.commands import BadCommand, Command
from domain.chat.people import OPERATOR, Recipe, User
from domain.chat.text import inert, one_line
from infra.chat import words
from infra.chat.answers import Answer, answer, new_card_id
from infra.chat.calls import failure, given_before
from infra.chat.finding import Finding
from infra.chat.reading import task_rows
from towpath_client import AsyncClient, Problem, Task, TaskOptions, Unanswered, problems

REASON_CHARS = 500
_CONFIRM = int(CONFIRM_WITHIN.total_seconds())


class Acting:
    """Acts through the API, for one person at a time."""

    def __init__(self, recipes: Mapping[str, Recipe], clock: Callable[[], datetime]) -> None:
        self._recipes = recipes
        self._clock = clock
        self._finding = Finding(clock)

    async def run(self, api: AsyncClient, user: User, command: Command, key: str) -> Answer:
        """Run a recipe; `key` makes it one task, however often it is asked for."""
        try:
            given = command.arguments()
        except BadCommand as error:
            return answer(str(error))
        if not given:
            return answer(self.recipes_of(user))
        recipe = self._recipes.get(given[0])
        if recipe is None or not user.may(recipe.role):
            return answer(f"there is no recipe {one_line(given[0], 60)} for you\n{self.recipes_of(user)}")
        try:
            full = recipe.command_with(given[1:])
        except ValueError as error:
            return answer(str(error))
        options = TaskOptions(title=recipe.title or recipe.name, labels={"recipe": recipe.name})
        if given[1:]:
            options["title"] = f"{options['title']} {' '.join(given[1:])}"[:200]
        if recipe.workspace is not None:
            options["workspace"] = recipe.workspace
        if recipe.pool is not None:
            options["pool"] = recipe.pool
        if recipe.timeout_seconds is not None:
            options["timeout_seconds"] = recipe.timeout_seconds
        try:
            task = await api.create(full, key=key, dispatch=True, **options)
        except problems.IdTaken:
            return answer(
                "this was run before the recipe was changed: send the command again to run the new one"
            )
        card = Card(new_card_id(), "task", task.id, task.attempt)
        return answer(self._ran(recipe, task), card, task_rows(task, user))

    def _ran(self, recipe: Recipe, task: Task) -> str:
        return f"{recipe.name}: {words.status(task)}\n{words.title(task)}\nid {task.id}"

    def recipes_of(self, user: User) -> str:
        """The recipes that the user may run."""
        mine = [one for one in self._recipes.values() if user.may(one.role)]
        lines = [f"/run {one.name}{' [arguments]' if one.takes_arguments else ''}" for one in mine]
        return "\n".join(["recipes:", *lines]) if lines else "there are no recipes for you"

    # ------------------------------------------------------------------ a second button

    async def cancel(self, api: AsyncClient, user: User, reference: str) -> Answer:
        """Ask whether to cancel the current attempt."""
        if not user.may(OPERATOR):
            return answer(f"canceling needs the role {OPERATOR}")
        task = await self._finding.task(api, reference)
        if isinstance(task, Answer):
            return task
        if task.ended:
            return answer(f"{words.title(task)} is over: {words.status(task)}")
        card = self._asking("cancel", task, user, CONFIRM_WITHIN)
        where = f" on {inert(task.runner_id)}" if task.runner_id else ""
        text = (
            f"Cancel {words.title(task)}?\nattempt {task.attempt}{where}, {words.status(task)}\n"
            f"id {task.id}\nWithin {_CONFIRM} seconds:"
        )
        return answer(text, card, [[(f"cancel attempt {task.attempt}", "yes"), ("no", "no")]])

    async def release(
        self, api: AsyncClient, user: User, reference: str, reason: str, asked: Card | None = None
    ) -> Answer:
        """Ask whether to release the lock that the current attempt holds, once there is a reason.

        `asked`: the card that asked for the reason, which counts for what was held then.
        """
        if not user.may(OPERATOR):
            return answer(f"releasing a lock needs the role {OPERATOR}")
        task = await self._finding.task(api, reference)
        if isinstance(task, Answer):
            return task
        token = words.held(task)
        if asked is not None and (asked.outcome is not None or token != asked.data["token"]):
            holds = "holds no lock" if token is None else f"holds token {token}"
            return answer(f"too late: now {words.attempt(task)} and {holds}")
        if token is None:
            return answer(f"{words.title(task)} holds no lock: {words.status(task)}")
        holder = f"attempt {task.attempt} on {inert(task.runner_id or 'no runner')}, token {token}"
        data: dict[str, Any] = {"token": token, "holder": holder}
        if not reason.strip():
            card = self._asking("reason", task, user, REASON_WITHIN, data)
            text = (
                f"Release the lock of {words.title(task)}?\n{holder}\nid {task.id}\n"
                "Reply to this message with the reason; it stays in the log."
            )
            return Answer(text, card, force_reply=True)
        data["reason"] = reason.strip()[:REASON_CHARS]
        card = self._asking("release", task, user, CONFIRM_WITHIN, data)
        text = (
            f"Release the lock of {words.title(task)}?\n{holder}\nid {task.id}\n"
            f"Its process may go on writing: first see that it is dead.\n"
            f"Reason: {one_line(reason, 1000)}\nWithin {_CONFIRM} seconds:"
        )
        return answer(text, card, [[(f"release token {token}", "yes"), ("no", "no")]])

    def _asking(
        self, kind: Kind, task: Task, user: User, within: timedelta, data: dict[str, Any] | None = None
    ) -> Card:
        """A card that only `user` can answer, about the task's current attempt."""
        until = self._clock() + within
        return Card(
            new_card_id(), kind, task.id, task.attempt, user_id=user.id, data=data or {}, expires_at=until
        )

    async def confirmed(self, api: AsyncClient, user: User, card: Card) -> str | Answer:
        """Do what a second button confirms, if all is still as the card says; what happened, in words.

        An answer where that is not known: the button stays.
        """
        done_at = f"{inert(user.name)} {words.clock_time(self._clock())}"
        try:
            if card.kind == "cancel":
                task = await api.cancel(card.task_id, "from the chat", attempt=card.attempt)
                done = "canceled" if task.ended else "cancel requested"
                return f"{done} by {done_at}"
            released = await api.release(card.task_id, card.data["reason"], token=card.data["token"])
        except problems.Changed:
            return f"too late, it is no longer so: {words.attempt(await api.get(card.task_id))}"
        except problems.AlreadyEnded:
            return "too late: it had ended before"
        except (problems.Unavailable, Unanswered) as error:
            why = "no answer came in time" if isinstance(error, Unanswered) else failure(error)
            look = f"look at it first: /task {words.short(card.task_id)}"
            return answer(f"it may have been done or not: {why}\n{look}")
        except Problem as error:
            return f"not done: {failure(error)}"
        may_run = "; a process may still be writing there" if released.process_may_run else ""
        return f"released by {done_at}{may_run}"

    # ------------------------------------------------------------------ questions

    async def answered(
        self, api: AsyncClient, user: User, card: Card, choice: str | None, text: str | None
    ) -> str:
        """Answer the card's question, and say what happened; the first answer stands."""
        try:
            question = await api.answer(card.task_id, choice, text=text, question_id=card.question_id)
        except problems.AlreadyAnswered as error:
            return f"too late: {given_before(error)}"
        except (problems.Ended, problems.CancelRequested):
            return "too late: the attempt that asked is over"
        given = one_line(question.answer or "", 200)
        at = words.clock_time(question.answered_at or self._clock())
        return f"answered `{given}` by {inert(user.name)} {at}"
