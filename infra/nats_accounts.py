"""Who may do what on NATS, as the accounts block of a nats-server configuration.

Three accounts, not three users of one account. Inside one account a client that may publish to *any*
stream can choose a log subject as its reply subject, and the server itself then appends the answer to the
log; it also sees every inbox and every submission, tokens and environment included. Between accounts an
answer returns to the asker's own account, and only what is exported can be seen. What this does not stop: a
push consumer may send copies of stored events to whoever subscribes to some other subject. They keep their
true subject and lack the `Nats-Sequence` header of what the log republishes: without it, no fact.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from infra.stream_definitions import CHECKPOINT, LOG, SUBMIT

LOG_CONSUMERS = ("locks", "tasks", "dispatch", "watchdog")
"""The control plane's durable consumers on the log: nobody else may read, change or delete them."""

WATCHED = ("towpath.task.>", "towpath.lock.>", "towpath.workspace.>", "towpath.checkpoint.>")
"""What a core subscriber of another account sees. Submissions, reports and dead letters carry tokens."""


@dataclass(frozen=True)
class Service:
    """A subject another account may publish to; `many` answers need a streamed response."""

    subject: str
    many: bool = False


def _consumers(stream: str) -> list[Service]:
    return [
        Service(f"$JS.API.CONSUMER.CREATE.{stream}.>"),
        Service(f"$JS.API.CONSUMER.INFO.{stream}.*"),
        Service(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.*", many=True),
        Service(f"$JS.ACK.{stream}.>"),
    ]


READ_LOG = [
    Service("$JS.API.INFO"),
    Service("$JS.API.STREAM.NAMES"),
    Service("$JS.API.STREAM.LIST"),
    Service(f"$JS.API.STREAM.INFO.{LOG}"),
    Service(f"$JS.API.STREAM.MSG.GET.{LOG}"),
    Service(f"$JS.API.DIRECT.GET.{LOG}", many=True),
    Service(f"$JS.API.DIRECT.GET.{LOG}.>", many=True),
    Service(f"$JS.API.CONSUMER.DELETE.{LOG}.*"),
    *_consumers(LOG),
]

READ_CHECKPOINTS = [
    Service(f"$JS.API.STREAM.INFO.{CHECKPOINT}"),
    Service(f"$JS.API.STREAM.MSG.GET.{CHECKPOINT}"),
    Service(f"$JS.API.DIRECT.GET.{CHECKPOINT}", many=True),
]

GUEST_SERVICES = [*READ_LOG, *READ_CHECKPOINTS, Service("towpath.report.>")]

RUNNER_SERVICES = [
    *GUEST_SERVICES,
    Service("towpath.runner.>"),
    Service("towpath.dead.submit.>"),
    Service(f"$JS.API.STREAM.INFO.{SUBMIT}"),
    Service(f"$JS.API.CONSUMER.DURABLE.CREATE.{SUBMIT}.*"),
    *_consumers(SUBMIT),
]


def accounts_block(control_password: str, runner_password: str) -> str:
    """Accounts TOWPATH (user `towpath`), RUNNER (`runner`) and GUEST (`guest`, who comes without a password).

    Passwords must not hold a double quote or a backslash.
    """
    guest = _imports(GUEST_SERVICES, WATCHED)
    runner = _imports(RUNNER_SERVICES, ("towpath.task.>",))
    return f"""\
no_auth_user: guest
accounts {{
  TOWPATH {{
    jetstream: enabled
    users: [ {{ user: towpath, password: "{control_password}" }} ]
    exports: [
{_exports()}
    ]
  }}
  RUNNER {{
    users: [ {{ user: runner, password: "{runner_password}", permissions: {{
      publish: {{ allow: {_publish(RUNNER_SERVICES)}, deny: {_list(_denied())} }}
      subscribe: {{ allow: ["towpath.task.>", "_INBOX.>"] }}
    }} }} ]
    imports: [
{runner}
    ]
  }}
  GUEST {{
    users: [ {{ user: guest, password: "", permissions: {{
      publish: {{ allow: {_publish(GUEST_SERVICES)}, deny: {_list(_denied())} }}
      subscribe: {{ allow: ["towpath.>", "_INBOX.>"], deny: ["towpath.report.>"] }}
    }} }} ]
    imports: [
{guest}
    ]
  }}
}}
"""


def _exports() -> str:
    guests = {service.subject for service in GUEST_SERVICES}
    lines = []
    for service in RUNNER_SERVICES:
        accounts = "[GUEST, RUNNER]" if service.subject in guests else "[RUNNER]"
        answers = ", response_type: stream" if service.many else ""
        lines.append(f'      {{ service: "{service.subject}", accounts: {accounts}{answers} }}')
    lines += [f'      {{ stream: "{subject}", accounts: [GUEST, RUNNER] }}' for subject in WATCHED]
    return "\n".join(lines)


def _imports(services: Iterable[Service], watched: Iterable[str]) -> str:
    lines = [
        f'      {{ service: {{ account: TOWPATH, subject: "{service.subject}" }} }}' for service in services
    ]
    lines += [f'      {{ stream: {{ account: TOWPATH, subject: "{subject}" }} }}' for subject in watched]
    return "\n".join(lines)


def _denied() -> list[str]:
    denied = []
    for name in LOG_CONSUMERS:
        denied += [
            f"$JS.API.CONSUMER.*.{LOG}.{name}",
            f"$JS.API.CONSUMER.*.{LOG}.{name}.>",
            f"$JS.API.CONSUMER.MSG.NEXT.{LOG}.{name}",
            f"$JS.ACK.{LOG}.{name}.>",
        ]
    return denied


def _publish(services: Iterable[Service]) -> str:
    return _list(service.subject for service in services)


def _list(subjects: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{subject}"' for subject in subjects) + "]"
