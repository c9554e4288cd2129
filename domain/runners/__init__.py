"""Runners as the control plane judges them: attempt tokens, liveness, and checks of their messages.

Start with `liveness.py`, which defines when a runner counts as lost. It knows no lock; services, the API and
adapters import it.
"""
