"""Trace spans around what carries a task from process to process."""
