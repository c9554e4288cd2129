"""The two processes above each job: the shim, which kills all of the job at its end, and its guard.

Start with `shim.py`. Both run on the standard library alone and without site packages, so the modules here
import nothing else. The exceptions are the runner's: `protocol.py` (their messages) and `lock_file.py` (which
processes they are). `towpath lock` has the same two processes above its command.
"""
