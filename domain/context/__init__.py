"""The context of the current work: log context, trace context, and the redaction of secrets from output.

Start with `log_context.py`. Every part may import it; it imports nothing of ours.
"""
