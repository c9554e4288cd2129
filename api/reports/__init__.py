"""The callback gateway: runners' reports over HTTP and NATS become events.

Start with `gateway.py`; `settlement.py` decides how a report over NATS ends. Routes and `infra` import it;
only here are reports applied.
"""
