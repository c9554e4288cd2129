"""`towpath lock`: holds a lock around a command in this terminal, as a runner of one attempt over HTTP alone.

Start with `command.py`. Its processes: the front, for which the shell waits; the keeper, which claims, sends
heartbeats and reports; guard and shim of `runner.process`, which hold the command. Every import delays the
command, so these modules use small modules of the standard library only: no asyncio, no httpx, no pydantic,
no pathlib. What only an error needs is imported there.
"""
