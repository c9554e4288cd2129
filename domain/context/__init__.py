"""The context of the work at hand: log context, trace, and the redaction of secrets from both.

Start with `log_context.py`.
"""
