"""The log: its events as data, the record that readers get, positions in it, and its capacity.

Start with `events.py`, one frozen model per event type. Every part that reads or writes events imports it; it
knows neither tasks nor locks.
"""
