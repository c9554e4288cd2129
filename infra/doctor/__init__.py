"""`towpath doctor`: finds what stands still or would break the guarantees, and tells how to fix it.

Start with `doctor.py`, which runs the checks. It reads every part of an installation and changes nothing.
"""
