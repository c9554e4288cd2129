"""Application services: load, decide, append, and decide again after a conflict.

Every change of a task, a workspace or a dead letter goes through this package. Start with `task_changes.py`,
the one loop; `task_commands.py`, `task_reports.py` and `task_findings.py` build on it. The API and the
process managers import it; it knows adapters by their ports alone.
"""
