"""Consumers of the log.

Projections fold events into state: `locks.py` (the lock projection, which also appends grants and releases),
`read_model.py`, `lock_view.py`, `time_travel.py`. Process managers act on events by commands: `dispatch.py`
(hands attempts to runners), `lock_waits.py` and `watchdog.py` (end attempts that waited too long or lost
their runner). `heartbeat_quarantine.py` checks heartbeats, `checkpoint_signer.py` signs the log.

May import the domain only. Start with `locks.py`.
"""
