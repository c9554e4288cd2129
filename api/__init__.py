"""The HTTP API and the callback gateway: what speaks to programs, people and runners.

May import the domain only. Start with `app.py`, which puts the routes together; `dependencies.py` is all that
routes may call.
"""
