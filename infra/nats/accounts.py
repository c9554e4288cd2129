"""NATS accounts and permissions, as the accounts block of a nats-server configuration.

`accounts_block` is for the embedded server (control plane, runner, guest), `deployment_accounts` for servers
of a deployment (control plane, runner, auditor, ops).

Each role has an account of its own; users of one account would not be safe. Inside one account a client that
may publish to *any* stream can name a log subject as its reply subject, and the server then appends the
answer to the log. It also sees every inbox and every submission, tokens and environment included. Between
accounts an answer returns to the requester's account, and only exported subjects are visible. One attack
remains: a push consumer may send copies of stored events to subscribers of any other subject. A copy keeps
its true subject and lacks the header `Nats-Sequence` of republished messages, so readers ignore messages
without it. No subject of a stream is exported: a copy delivered there would be stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from domain import subjects
from domain.subjects import RUNNERS_LETTERS, Stream, under
from infra.nats.syntax import nats_string

LOG_CONSUMERS = ("dispatch", "retry")
"""The control plane's durable consumers on the log. Other roles may not pull from, change or delete them."""

WATCHED = (under("task"), under("lock"), under("workspace"), under("checkpoint"))
"""What core subscribers of other accounts see. Submissions, reports and dead letters carry tokens."""

HEARTBEATS = under("runner")
STORED_HEARTBEATS = subjects.heartbeat()
"""Heartbeats as the stream republishes them; other accounts see them under their original subject.

No stream stores these subjects. A push consumer can deliver to any subject, so an exported subject of a
stream would let it write there.
"""
SEEN_AS = {STORED_HEARTBEATS: subjects.runner()}
PASSWORD_VARIABLES = {
    "towpath": "TOWPATH_NATS_CONTROL_PASSWORD",
    "runner": "TOWPATH_NATS_RUNNER_PASSWORD",
    "auditor": "TOWPATH_NATS_AUDITOR_PASSWORD",
    "ops": "TOWPATH_NATS_OPS_PASSWORD",
}
"""User to the environment variable from which a deployed nats-server reads that user's password."""


@dataclass(frozen=True)
class NatsService:
    """A subject that another account may publish to; `many`: its requests get more than one response."""

    subject: str
    many: bool = False


@dataclass(frozen=True)
class NatsRole:
    """One account with one user; `watched` is what it imports, `subscribe` what the user may listen to."""

    user: str
    services: Sequence[NatsService]
    watched: Sequence[str]
    subscribe: Sequence[str]
    deny_subscribe: Sequence[str] = ()
    sees_consumers: bool = False
    serves: Sequence[str] = ()
    """What this account answers to the control plane, and to no other account."""

    @property
    def account(self) -> str:
        """The account's name."""
        return self.user.upper()


def _reading(stream: str) -> list[NatsService]:
    """Permission to read: the subject that makes a consumer names its filter, the last part.

    When a consumer is made, and at every start, the server compares its filters pair by pair: thousands of
    them block all of JetStream. With this subject the server rejects a request with several filters or with
    another one. Every other subject accepts as many filters as fit into a message.
    """
    return [
        NatsService(f"$JS.API.CONSUMER.CREATE.{stream}.*.>"),
        NatsService(f"$JS.API.CONSUMER.INFO.{stream}.*"),
        NatsService(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.*", many=True),
    ]


def _acknowledging(stream: str) -> list[NatsService]:
    return [NatsService(f"$JS.ACK.{stream}.>")]


READ_LOG = [
    NatsService("$JS.API.INFO"),
    NatsService("$JS.API.STREAM.NAMES"),
    NatsService("$JS.API.STREAM.LIST"),
    NatsService(f"$JS.API.STREAM.INFO.{Stream.LOG}"),
    NatsService(f"$JS.API.STREAM.MSG.GET.{Stream.LOG}"),
    NatsService(f"$JS.API.DIRECT.GET.{Stream.LOG}", many=True),
    NatsService(f"$JS.API.DIRECT.GET.{Stream.LOG}.>", many=True),
    *_reading(Stream.LOG),
]

READ_CHECKPOINTS = [
    NatsService(f"$JS.API.STREAM.INFO.{Stream.CHECKPOINT}"),
    NatsService(f"$JS.API.STREAM.MSG.GET.{Stream.CHECKPOINT}"),
    NatsService(f"$JS.API.DIRECT.GET.{Stream.CHECKPOINT}", many=True),
]

GUEST_SERVICES = [
    *READ_LOG,
    *_acknowledging(Stream.LOG),
    NatsService(f"$JS.API.CONSUMER.DELETE.{Stream.LOG}.*"),
    *READ_CHECKPOINTS,
    NatsService(under("report")),
]

RUNNER_SERVICES = [
    *GUEST_SERVICES,
    NatsService(HEARTBEATS),
    NatsService(RUNNERS_LETTERS),
    NatsService(f"$JS.API.STREAM.INFO.{Stream.SUBMIT}"),
    NatsService(f"$JS.API.STREAM.INFO.{Stream.REPORT}"),
    *_reading(Stream.SUBMIT),
    *_acknowledging(Stream.SUBMIT),
]

AUDITOR_SERVICES = [*READ_LOG, *READ_CHECKPOINTS]

OPS_SERVICES = [
    *(one for one in AUDITOR_SERVICES if ".INFO." not in one.subject),
    NatsService("$JS.API.STREAM.INFO.*"),
    NatsService("$JS.API.CONSUMER.NAMES.*"),
    NatsService("$JS.API.CONSUMER.LIST.*"),
    NatsService("$JS.API.CONSUMER.INFO.*.*"),
    NatsService(f"$JS.API.STREAM.MSG.GET.{Stream.TIMER}"),
    NatsService(f"$JS.API.STREAM.MSG.GET.{Stream.RUNNER}"),
    NatsService(f"$JS.API.DIRECT.GET.{Stream.RUNNER}", many=True),
]

_INBOX = "_INBOX.>"
_REPLIES = "_R_.>"
"""Where the server takes responses to requests of another account; it makes each subject at random.

`allow_responses` would not do: it lets a client publish to the reply subject of *any* message that it gets,
also where it is denied, and a client chooses the reply subject of what it sends to itself.
"""
GUEST_ROLE = NatsRole("guest", GUEST_SERVICES, WATCHED, (under(), _INBOX), (under("report"),))
OUTPUT = subjects.output()
RUNNER_ROLE = NatsRole(
    "runner",
    RUNNER_SERVICES,
    (under("task"),),
    (under("task"), HEARTBEATS, OUTPUT, _INBOX),
    serves=(OUTPUT,),
)
"""A runner sees the heartbeats published in its account, and so detects a second runner with its id.

Runners share one user, so NATS does not keep one from answering for another. Where they must not trust each
other, give each a user of its own that may subscribe to its own `towpath.output.<runner id>` alone.
"""
AUDITOR_ROLE = NatsRole("auditor", AUDITOR_SERVICES, WATCHED, (under(), _INBOX))
OPS_ROLE = NatsRole(
    "ops", OPS_SERVICES, (*WATCHED, STORED_HEARTBEATS), (under(), _INBOX), sees_consumers=True
)


def accounts_block(control_password: str, runner_password: str, *, guest: bool = True) -> str:
    """Accounts TOWPATH (user `towpath`), RUNNER (`runner`) and GUEST (`guest`, without a password).

    Without `guest`, clients without a password are rejected.
    """
    passwords = {
        "towpath": nats_string(control_password),
        "runner": nats_string(runner_password),
        "guest": '""',
    }
    if not guest:
        return _accounts([RUNNER_ROLE], passwords)
    return "no_auth_user: guest\n" + _accounts([RUNNER_ROLE, GUEST_ROLE], passwords)


def deployment_accounts() -> str:
    """Accounts TOWPATH, RUNNER, AUDITOR and OPS; the server reads the passwords from its environment.

    nats-server parses a value that looks like a number as one: passwords must begin with a letter and hold
    only letters and digits.
    """
    return _accounts(
        [RUNNER_ROLE, AUDITOR_ROLE, OPS_ROLE],
        {user: f"${variable}" for user, variable in PASSWORD_VARIABLES.items()},
    )


def _accounts(roles: Sequence[NatsRole], passwords: dict[str, str]) -> str:
    others = "\n".join(_account(role, passwords[role.user]) for role in roles)
    return f"""\
accounts {{
  TOWPATH {{
    jetstream: enabled
    users: [ {{ user: towpath, password: {passwords["towpath"]} }} ]
    exports: [
{_exports(roles)}
    ]
    imports: [
{_answers(roles)}
    ]
  }}
{others}
}}
"""


def _account(role: NatsRole, password: str) -> str:
    deny = f", deny: {_list(role.deny_subscribe)}" if role.deny_subscribe else ""
    publish = _list([*(one.subject for one in role.services), *([_REPLIES] if role.serves else [])])
    return f"""\
  {role.account} {{
    users: [ {{ user: {role.user}, password: {password}, permissions: {{
      publish: {{ allow: {publish}, deny: {_list(_denied(role))} }}
      subscribe: {{ allow: {_list(role.subscribe)}{deny} }}
    }} }} ]
    imports: [
{_imports(role)}
    ]{_served(role)}
  }}"""


def _exports(roles: Sequence[NatsRole]) -> str:
    services = {service: None for role in roles for service in role.services}
    watched = {subject: None for role in roles for subject in role.watched}
    lines = []
    for service in services:
        accounts = ", ".join(role.account for role in roles if service in role.services)
        answers = ", response_type: stream" if service.many else ""
        lines.append(f'      {{ service: "{service.subject}", accounts: [{accounts}]{answers} }}')
    for subject in watched:
        accounts = ", ".join(role.account for role in roles if subject in role.watched)
        lines.append(f'      {{ stream: "{subject}", accounts: [{accounts}] }}')
    return "\n".join(lines)


def _imports(role: NatsRole) -> str:
    services = [f'{{ service: {{ account: TOWPATH, subject: "{one.subject}" }} }}' for one in role.services]
    streams = [
        f'{{ stream: {{ account: TOWPATH, subject: "{one}" }}{_seen_as(one)} }}' for one in role.watched
    ]
    return "\n".join(f"      {line}" for line in [*services, *streams])


def _served(role: NatsRole) -> str:
    if not role.serves:
        return ""
    lines = "\n".join(f'      {{ service: "{one}", accounts: [TOWPATH] }}' for one in role.serves)
    return f"\n    exports: [\n{lines}\n    ]"


def _answers(roles: Sequence[NatsRole]) -> str:
    return "\n".join(
        f'      {{ service: {{ account: {role.account}, subject: "{one}" }} }}'
        for role in roles
        for one in role.serves
    )


def _seen_as(subject: str) -> str:
    return f', to: "{SEEN_AS[subject]}"' if subject in SEEN_AS else ""


def _denied(role: NatsRole) -> list[str]:
    denied = []
    for name in LOG_CONSUMERS:
        verb = "CREATE" if role.sees_consumers else "*"
        denied += [
            f"$JS.API.CONSUMER.{verb}.{Stream.LOG}.{name}",
            f"$JS.API.CONSUMER.{verb}.{Stream.LOG}.{name}.>",
            f"$JS.API.CONSUMER.MSG.NEXT.{Stream.LOG}.{name}",
            f"$JS.ACK.{Stream.LOG}.{name}.>",
        ]
    return denied


def _list(subjects: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{subject}"' for subject in subjects) + "]"
