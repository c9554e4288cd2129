"""Evidence that a log is complete and unchanged: Merkle tree, signed checkpoints, and history rules.

Start with `checkpoint.py`; `infra/audit` checks a log with it. It may import tasks, locks and the log; no
decision of a task or a lock depends on it.
"""
