"""The control plane's side of runners: submissions to them, heartbeats from them.

Start with `submission.py`.
"""
