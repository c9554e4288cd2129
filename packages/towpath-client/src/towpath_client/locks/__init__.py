"""Locks that a program holds: claimed as a task of its own, kept by heartbeats, and nested.

Start with `lock.py`; `lease.py` is what both kinds of locks share.
"""
