"""Consumers of the log: projections and process managers.

Projections fold events into state: `locks.py` (the lock projection, which also appends grants and releases),
`read_model.py`, `lock_view.py`, `time_travel.py`. Process managers react to events with commands:
`dispatch.py` (submits attempts to runners), `lock_waits.py` and `watchdog.py` (end attempts that waited too
long, that no runner took, or whose runner is lost), `question_expiry.py` (answers questions whose time is
over), `retries.py` (begins the next attempt), `notices/` (tells people). `heartbeat_quarantine.py` checks
heartbeats, `checkpoint_signer.py` signs the log.

This package may import the domain only. Start with `locks.py`.
"""
