"""The life of an attempt on this host: slot, start gate, process, report.

Start with `attempt_run.py`; `executor.py` runs many of them. Intake hands attempts to it; it may import every
part of the runner below.
"""
