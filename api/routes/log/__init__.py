"""The log: its events by page and as a stream, what has changed in it, and from when to when it is.

Start with `events.py`.
"""
