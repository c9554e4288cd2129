"""The launcher: a warm process of the runner from which guards are forked, instead of starting interpreters.

Start with `forking.py`, the runner's side; `fork_server.py` is the process itself, on the standard library
alone. A runner also works without it, more slowly. See docs/adr/0019-guards-are-forked-from-a-launcher.md.
"""
