"""Runners: the list for operators, and what runners send: heartbeats, and reports in `status.py`.

Start with `status.py`.
"""
