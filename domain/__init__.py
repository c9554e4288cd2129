"""The rules of Towpath as pure decisions over past events: tasks, locks, workspaces, runners.

Nothing here reads a clock, makes an id, or opens a connection: what the rules need from outside is an
argument or a port. Start with `task/transitions.py` (what may follow what), then `locks/table.py` (who
gets which lock).
"""
