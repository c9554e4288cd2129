"""Adapters: the ports of `domain.ports` on JetStream, SQL and HTTP.

May import the domain, never projections, api, runner or infra. Start with `event_store/appender.py`, the one
function that appends to the log.
"""
