"""The commented file that `towpath notifier init` writes."""

from __future__ import annotations

import secrets
from base64 import b64encode

from adapters.notices.signature import PREFIX
from adapters.telegram.bot_api import ChatId


def example() -> str:
    """A file with a webhook, a fresh secret, and what else there is in comments."""
    secret = PREFIX + b64encode(secrets.token_bytes(32)).decode()
    return _HEAD + _WEBHOOK.replace("SECRET", secret) + _TIMING + _TELEGRAM_TOO + _RULES


def telegram_example(
    token: str, chat_id: ChatId, thread_id: int | None = None, person: int | None = None
) -> str:
    """A file with this chat. `token`: how the table names the token, such as `token_file = "…"`.

    `person`: who may be let in to act from the chat.
    """
    chat = f'"{chat_id}"' if isinstance(chat_id, str) else str(chat_id)
    thread = f"thread_id = {thread_id}  # a topic of the forum\n" if thread_id is not None else ""
    table = _TELEGRAM.replace("TOKEN", token).replace("CHAT", chat).replace("THREAD\n", thread)
    return _HEAD + table + _TIMING + _RULES + _PEOPLE.replace("PERSON", str(person or "123456789"))


_HEAD = """\
# What Towpath tells, and whom: docs/notices.md. Keep this file's mode at 0600, since it holds secrets.
# `towpath notifier check` finds faults, and shows what the rules would have sent lately.

"""
_WEBHOOK = """\
[[channel]]
name = "ops"
kind = "webhook"
url = "https://hooks.example.com/towpath"
secret = "SECRET"  # for receivers too; or secret_file = "/etc/towpath/hook-secret"
# allow = ["127.0.0.1", "10.1.0.0/16", "hooks.internal"]  # receivers that have no public address
"""
_TELEGRAM = """\
[[channel]]
name = "ops"
kind = "telegram"
TOKEN
chat_id = CHAT
THREAD
"""
_TIMING = """\
# digest = "30s"                          # collect what comes within this time, and tell it at once
# quiet = "22:00-07:00 Europe/Berlin"     # held until the end, but for questions and kept locks

"""
_TELEGRAM_TOO = """\
## A chat of Telegram; `towpath notifier init OTHER-FILE --telegram` finds its number.
# [[channel]]
# name = "phone"
# kind = "telegram"
# token_file = "/etc/towpath/bot-token"   # or token = "…", or the variable TOWPATH_TELEGRAM_TOKEN
# chat_id = 123456789                     # a person; groups have negative numbers
# thread_id = 7                           # a topic, where the group is a forum

## Mail, Slack, ntfy and others through Apprise, the extra towpath[notify]; its URL holds a password.
# [[channel]]
# name = "mail"
# kind = "apprise"
# url = "mailtos://user:password@example.com"  # or url_file = "/etc/towpath/mail-url"

"""
_RULES = """\
[[rule]]
channel = "ops"
events = ["failed", "submit-failed", "asked", "runner-lost", "awaiting-operator", "recovered"]
# any event of the log, and: "lock-waits-over 10m", "runs-over 1h", "runner-suspected", "dead-letter".
# "recovered" tells the end of the conditions that stand beside it.
# workspace = "shop"                      # only of this workspace, pool, label, or title (a glob)
# pool = "default"
# label = "team=web"
# title = "deploy*"
"""
_PEOPLE = """
## Who may answer and act from a chat, and what they may run there: docs/chat.md.
# [[user]]
# id = PERSON
# name = "alice"                          # how events name this person
# role = "operator"                       # or viewer, auditor, admin
# [[recipe]]
# name = "deploy"
# command = ["make", "deploy"]
# workspace = "shop"                      # it starts there; without one, in an empty directory
"""
