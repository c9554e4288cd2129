"""Processes while they run: API, projector, runner, their HTTP server, signals, memory and readiness.

Start with `processes.py`; `up.py` is `towpath up`. The commands that start servers import it.
"""
