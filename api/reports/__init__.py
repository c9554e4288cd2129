"""The callback gateway: runners' reports over HTTP and NATS become events.

Start with `gateway.py`; `settlement.py` decides what becomes of a report that came over NATS.
"""
