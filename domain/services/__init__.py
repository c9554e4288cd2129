"""Application services: load, decide, append, and on a conflict decide again.

Everything that changes a task, a workspace or a dead letter goes through here. Start with `tasks.py`.
"""
