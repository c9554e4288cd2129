"""Trace spans around the adapters that carry a task from process to process."""
