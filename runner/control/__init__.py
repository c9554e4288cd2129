"""Connection to the control plane: heartbeats, the lease that they renew, and the events of held attempts.

Start with `heartbeat.py`. Attempts ask it whether they may start and go on; it may import the outbox.
"""
