"""Adapters: the ports of `domain.ports` on JetStream, SQL and HTTP.

This package may import the domain, never projections, api, runner or infra. Start with
`event_store/appender.py`, which appends to the log; `event_store/group_appender.py` appends in batches.
"""
