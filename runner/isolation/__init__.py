"""Isolation of jobs from their host: user, cgroup, Landlock and system-call filter.

Start with `confinement.py`. The shim imports it, so all but `job_user.py` is on the standard library alone.
"""
