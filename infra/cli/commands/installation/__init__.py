"""The commands that start, check and keep an installation: they use its data directory and NATS, not the API.

Start with `servers.py`. Only `infra/cli/app.py` imports them.
"""
