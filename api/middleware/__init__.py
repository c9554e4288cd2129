"""Middleware of all requests: admission, body limits, host and origin checks, `HEAD`, tracing.

Start with `admission.py`.
"""
