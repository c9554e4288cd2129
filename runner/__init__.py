"""The host runner: takes attempts, starts them only with permission, and reports how they ended.

May import the domain only. Start with `service.py`, which builds it, then `attempts/attempt_run.py`, the life
of one attempt.
"""
