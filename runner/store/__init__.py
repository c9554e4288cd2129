"""The runner's durable state: one SQLite file with its attempts and its outbox, and the disk guard.

Start with `state.py`. Every part of the runner above may import it; the file has one owner.
"""
