"""Processes of jobs: from the start of a command to the death of the last process that it started.

Start with `job_process.py`, the runner's side of one job. Between runner and job stand two processes, guard
and shim (`shim/`), which are forked from a third (`launcher/`). `orphans.py` kills what a dead runner left,
`shim_watch.py` finds a guard that does not respond, `tree/` reads and signals processes, `masking/` hides
secrets in output. Attempts (`runner/attempts/`) start jobs here; nothing here knows reports or queues.
"""
