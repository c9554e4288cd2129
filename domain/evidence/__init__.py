"""Evidence that a log is whole: Merkle tree, signed checkpoints, and the rules that any history must keep.

Start with `checkpoint.py`; `infra/audit` applies it to a log.
"""
