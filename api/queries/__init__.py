"""Queries that several routes share: pages, positions in the log, the past, the status of runners.

Start with `event_pages.py`. Those about tasks are in `tasks`, counts of everything in `figures`. Routes,
streams and metrics import it; it knows ports and none of them.
"""
