"""Trace spans around the adapters that carry a task from process to process.

Start with `tracing.py`. Only `infra/composition.py` imports it, and only where tracing is on.
"""
