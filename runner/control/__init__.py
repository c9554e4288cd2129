"""Connection to the control plane: heartbeats, the lease that they renew, and the events of held attempts.

Start with `heartbeat.py`.
"""
