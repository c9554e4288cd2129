"""Maintenance of an installation: replay, checks before a start, and the log read offline.

Start with `log_check.py`. Commands and `infra/runtime` import it.
"""
