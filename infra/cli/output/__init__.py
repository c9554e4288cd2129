"""Output of commands: tables, JSON forms, events as text, durations; messages for people go to stderr.

Start with `formats.py`. Commands import it; nothing else writes to stdout.
"""
