"""Application services: load, decide, append, and on a conflict decide again.

Everything that changes a task, a workspace or a dead letter goes through here. Start with
`task_changes.py`, the one loop; `task_commands.py`, `task_reports.py` and `task_findings.py` build on it.
"""
