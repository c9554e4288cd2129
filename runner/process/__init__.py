"""Processes of jobs: the shim between runner and job, its guard, and the removal of all processes of a job.

Start with `shim.py`. The runner's side of one job is `launcher.py`. Guards are forked by the process of
`fork_server.py`, which `forking.py` keeps running; `orphans.py` kills what a dead runner left. The shim
imports only the standard library here, since it starts without site packages.
"""
