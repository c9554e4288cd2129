"""The task aggregate: its transitions, its events, what creates it, how it is shown and explained.

Start with `transitions.py`, the one table of statuses; `aggregate.py` enforces it.
"""
