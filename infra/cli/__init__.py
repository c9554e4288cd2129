"""The `towpath` command: an HTTP client for people and programs, and the start of servers through `infra`.

Start with `app.py`, which lists the commands, then `commands/run.py`. Only `infra/entry.py` imports it.
"""
