"""The outbox: reports, kept until they are answered, delivered in order per task.

Start with `reporter.py`.
"""
