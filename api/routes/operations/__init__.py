"""For those who run the control plane: the overview, probes and metrics, dead letters.

Start with `overview.py`.
"""
