"""The commands of `towpath`, one file per group.

Start with `run.py`.
"""
