"""Maintenance of an installation: replay, log checks before a start, reading the log while its server is
down.

Start with `log_check.py`.
"""
