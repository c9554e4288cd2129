"""Validation of input from other programs: JSON, text, headers, timestamps, tokens, host names.

Each rule stands here once, so that HTTP and NATS accept and refuse the same. Start with `json_reader.py`.
"""
