"""HTTP routes, one file per resource: requests, required roles and response statuses.

The packages are named by what they serve, and know nothing of one another: `tasks`, `locks` (and workspaces),
`log`, `runners` (and what runners send), `operations`, `pages` (for a browser). Start with `tasks/tasks.py`.
"""
