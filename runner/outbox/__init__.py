"""The outbox: stores reports until they are answered, and delivers them in order per task.

Start with `reporter.py`.
"""
