"""Intake of attempts: from a pool's work queue on NATS, or over a small HTTP server.

Start with `nats.py`. Only `runner/service.py` imports it; it hands attempts to `runner/attempts`.
"""
