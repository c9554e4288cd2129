"""The task aggregate: its transitions, its events, its specification, its view and its explanation.

Start with `transitions.py`, the one table of statuses; `aggregate.py` enforces it. Only `domain/services`
changes a task; every part may read its view.
"""
