"""The rules of Towpath as pure decisions over past events: tasks, locks, workspaces, runners.

Nothing here reads a clock, makes an id, or opens a connection: times, ids and I/O come in as arguments or
ports. Start with `task/transitions.py` (which event may follow which status), then `locks/table.py` (which
claim gets its lock next). `lifecycle/` holds no rules: it starts and stops the services of all parts.
"""
