"""The HTTP API and the callback gateway, for programs, people and runners.

May import the domain only. Start with `app.py`, which combines the routes; `dependencies.py` holds everything
that routes may call.
"""
