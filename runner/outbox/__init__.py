"""The outbox: stores reports until they are answered, and delivers them in order per task.

Start with `reporter.py`. Attempts and the start gate write to it; only here are reports sent.
"""
