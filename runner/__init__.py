"""The host runner: takes attempts, starts them only with permission, and reports what became of them.

It shares nothing with the control plane but the wire contract in `domain`; a runner in another
language, speaking the same HTTP or NATS, may stand in its place.
"""
