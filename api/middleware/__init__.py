"""Middleware of all requests: admission, body limits, host and origin checks, `HEAD`, tracing.

Start with `admission.py`. It knows no route; `api/app.py` puts it around all of them.
"""
