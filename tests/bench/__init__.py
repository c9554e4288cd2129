"""The bench: every promise about speed and size, each measured against a plain baseline in the same run.

Absolute figures depend on the machine and on what else runs on it, so a row is a ratio: ours and the
baseline take turns against the same server, and the turn with the median ratio is shown. `python -m
tests.bench` prints all rows; a module in `rows/` measures one group of them.
"""
