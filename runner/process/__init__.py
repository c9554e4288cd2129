"""Processes of jobs: the shim between runner and job, its guard, and the removal of all processes of a job.

Start with `shim.py`, which the runner starts through `launcher.py`; `orphans.py` kills what a dead runner
left. The shim imports only the standard library here, since each job pays for its start.
"""
