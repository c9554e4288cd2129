"""Runners as the control plane judges them: attempt tokens, liveness, and checks of what they send.

Start with `liveness.py`: when a runner counts as lost.
"""
