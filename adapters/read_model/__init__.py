"""The read model in SQL (SQLite or PostgreSQL), and the snapshots of folds beside it.

Start with `store.py`; `rows.py` is what each event changes in a task's row.
"""
