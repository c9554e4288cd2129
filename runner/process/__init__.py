"""Processes of jobs: the shim between runner and job, its guard, and the end of everything a job started.

Start with `shim.py`, which the runner starts through `launcher.py`; `orphans.py` ends what a dead runner
left. The shim imports from here with the standard library only, since each job pays for its start.
"""
