"""Workspace locks: the lock table, which folds the log and decides the next grant, refusal or release.

Start with `table.py`. `lock_facts.py` makes the event of each decision; `conflict_index.py` finds the claims
that conflict, `judging.py` the events that are void; `view.py` shows locks to users. Only
`projections/locks.py` appends what it decides.
"""
