"""Helpers of projections: batches that yield, snapshots, void events, waiters, the log's head.

Nothing here folds, decides or appends by itself. Start with `cooperative_fold.py`. Projections import it, and
`infra` where it folds the log outside of a projector.
"""
