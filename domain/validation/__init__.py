"""Validation of input from other programs: JSON, text, headers, timestamps, tokens, host names.

HTTP and NATS share these rules, so that both accept and refuse the same input. Start with `json_reader.py`.
Every part may import it.
"""
