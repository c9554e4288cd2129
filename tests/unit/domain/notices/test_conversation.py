"""Conversations: whatever happens, each notice is shown once, with sound where a person is needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.notices.conversation import LOUD, NEW, Conversation, after, plan, topic_of
from domain.notices.message import Message, Notice, NoticeTask
from domain.notices.rules import Fact, Rule, Rules, Subject, Trigger

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES = (
    "created", "dispatched", "running", "asked", "answered", "failed", "succeeded", "lock-waits-over 10m",
    "runs-over 1h", "awaiting-operator", "runner-suspected", "runner-lost",
)  # fmt: skip
ABOUT_RUNNERS = ("runner-suspected", "runner-lost")


@dataclass
class Chat:
    """What a chat shows: each message by its id, with what it says, sound, and the message it answers."""

    said: dict[int, list[str]] = field(default_factory=dict)
    loud: set[int] = field(default_factory=set)
    answers: dict[int, int | None] = field(default_factory=dict)
    about: dict[str, Conversation] = field(default_factory=dict)

    def show(self, message: Message, *, gone: bool = False) -> None:
        """As the sender does."""
        topic = topic_of(message)
        todo = plan(message, self.about.get(topic or "", NEW))
        if todo.edit is not None and gone:
            todo = todo.without_edit()
        if todo.edit is not None:
            self.said[todo.edit].append(message.notice.name)
        sent = None
        if todo.send:
            sent = len(self.said) + 1
            self.said[sent] = [message.notice.name]
            self.answers[sent] = todo.reply_to
            self.loud |= set() if todo.silent else {sent}
        if topic is not None:
            self.about[topic] = after(message, todo, sent)


def message(name: str, subject: str = "t1", began: str = "") -> Message:
    about_runner = name in ABOUT_RUNNERS or began in ABOUT_RUNNERS
    task = NoticeTask(
        id=subject, title="x", attempt=1, workspace=None, pool="default", labels={}, runner_id=None
    )
    notice = Notice(
        name=name,
        text=name,
        task=None if about_runner else task,
        runner_id=subject if about_runner else None,
    )
    data = {"began": began} if began else {}
    return Message(id="e", type="t", subject=subject, at=NOW, data=data, notice=notice)


def test_a_task_is_one_silent_message_and_what_is_loud_answers_it() -> None:
    chat = Chat()
    for name in ("created", "running", "failed", "running", "succeeded"):
        chat.show(message(name))
    assert chat.said == {1: ["created", "running", "failed", "running", "succeeded"], 2: ["failed"]}
    assert (chat.loud, chat.answers[2]) == ({2}, 1)


def test_the_end_of_what_was_loud_is_a_message_without_sound() -> None:
    chat = Chat()
    chat.show(message("runner-suspected", "r1"))
    chat.show(message("runner-lost", "r1"))
    chat.show(message("recovered", "r1", "runner-suspected"))
    chat.show(message("recovered", "r1", "runner-lost"))
    chat.show(message("runner-suspected", "r1"))
    assert chat.said == {
        1: ["runner-suspected", "runner-lost", "recovered", "recovered"],
        2: ["runner-lost"], 3: ["recovered"], 4: ["runner-suspected"],
    }  # fmt: skip
    assert (chat.loud, chat.answers) == ({2}, {1: None, 2: 1, 3: 2, 4: None})


def test_a_message_that_is_gone_is_followed_by_a_new_one() -> None:
    chat = Chat()
    chat.show(message("created"))
    chat.show(message("running"), gone=True)
    chat.show(message("succeeded"))
    assert chat.said == {1: ["created"], 2: ["running", "succeeded"]}


RULES = st.lists(
    st.builds(
        Rule,
        st.just("ops"),
        st.lists(st.sampled_from(NAMES).map(Trigger.parse), min_size=1, max_size=4).map(tuple),
        workspace=st.sampled_from([None, "shop"]),
        title=st.sampled_from([None, "deploy*"]),
    ),
    max_size=3,
)
FACTS = st.lists(
    st.tuples(
        st.sampled_from(NAMES), st.sampled_from(["t1", "t2"]), st.sampled_from(["shop", "lab"]),
        st.sampled_from(["deploy x", "test"]), st.booleans(),
    ),
    max_size=30,
)  # fmt: skip


@given(RULES, FACTS)
def test_what_rules_take_is_shown_and_nothing_else(
    rules: list[Rule], happened: list[tuple[str, str, str, str, bool]]
) -> None:
    """Each notice is in one message, or also in the one that it answers; sound is for who must act."""
    chat, wanted = Chat(), list[tuple[str, str]]()
    for number, (name, subject, workspace, title, gone) in enumerate(happened):
        about = Subject(task_id=subject, title=title, workspace=workspace)
        fact = Fact(f"e{number}", Trigger.parse(name), NOW + timedelta(seconds=number), (about,))
        takes = any(
            name in map(str, rule.triggers)
            and rule.workspace in (None, workspace)
            and (rule.title is None or title.startswith("deploy"))
            for rule in rules
        )
        assert Rules(rules).channels(fact) == (["ops"] if takes else [])
        if takes:
            wanted.append((name, subject))
            shown = len(chat.said)
            chat.show(message(name, subject), gone=gone)
            loud = name in LOUD
            assert len(chat.said) - shown == 1 if loud else len(chat.said) - shown <= 1
            assert (len(chat.said) in chat.loud) == loud or not loud
    first = sorted(name for said in chat.said.values() for name in said[:1])
    assert sum(1 for name, _ in wanted if name in LOUD) == len(chat.loud)
    assert set(first) <= {name for name, _ in wanted}
    everything = [name for said in chat.said.values() for name in said]
    for name in NAMES:
        times = sum(1 for one, _ in wanted if one == name)
        most = 2 * times if name in LOUD else times
        assert times <= everything.count(name) <= most
    for id, answered in chat.answers.items():
        assert answered is None or answered < id
