"""Notices: which facts are told to which channel, when, and in which words.

Pure: nothing here waits, reads a clock or opens a connection. Start with `rules.py`. What begins and ends
over time is in `watches.py`, when a channel is told in `schedule.py`, what it reads in `message.py`, which
message of a chat is edited in `conversation.py`.
"""
