"""The host runner: takes attempts, starts them only with permission, and reports what became of them.

May import the domain only. Start with `service.py`, which puts it together, then `attempts/attempt_run.py`,
the life of one attempt.
"""
