"""HTTP routes, one file per resource: requests, required roles and response statuses.

Start with `tasks.py`.
"""
