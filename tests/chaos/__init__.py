"""Everything that can break, broken on purpose; then a checker says whether Towpath kept its promises.

`python -m tests.chaos` starts real processes, disturbs them by a seed, and writes one history. `python -m
tests.chaos.check HISTORY LOG` judges any history and log by itself. Nothing here knows how Towpath decides:
what must hold is said anew, from the contract.
"""
