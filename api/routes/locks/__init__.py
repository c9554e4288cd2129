"""Workspaces and their locks: who holds and waits, now and in the past. `workspaces.py` has `/locks` too.

Start with `workspaces.py`.
"""
