"""Isolation of jobs from their host: user, cgroup, Landlock and system-call filter.

Start with `confinement.py`.
"""
