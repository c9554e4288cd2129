"""The runner's durable state: one SQLite file with its attempts and its outbox, and the disk guard.

Start with `state.py`.
"""
