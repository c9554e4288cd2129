"""Tasks that a user names: by a part of the id, by title, or many at once.

Start with `task_ids.py`.
"""
