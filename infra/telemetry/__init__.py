"""Logging and OpenTelemetry traces.

Start with `logging.py`. The composition root and the processes import it; only here is OpenTelemetry known.
"""
