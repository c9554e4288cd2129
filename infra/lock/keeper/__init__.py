"""The keeper of `towpath lock`: the process that claims, keeps the lease, passes the start gate and reports.

Start with `process.py`. `infra.lock` describes the other processes.
"""
