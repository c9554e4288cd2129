"""Queries about tasks: lists, now and in the past, attempts and their output, and why a task is where it is.

Start with `task_view.py`; `reasons.py` explains, `past_tasks.py` lists the tasks of an earlier time. The
routes of tasks import it.
"""
