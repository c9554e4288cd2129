"""Logging and OpenTelemetry traces.

Start with `logging.py`.
"""
