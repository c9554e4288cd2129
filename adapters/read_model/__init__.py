"""The read model in SQL (SQLite or PostgreSQL), and the snapshots of folds beside it.

Start with `store.py`; `writing/rows.py` defines how each event changes a task's row. It knows no NATS; only
`infra` imports it. Only the projection `read model` writes.
"""
