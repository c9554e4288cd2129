"""Queries about tasks: lists, now and in the past, attempts and their output, and why a task is where it is.

Start with `task_view.py`; `reasons.py` explains, `past_tasks.py` lists a moment that is over.
"""
