"""The commands of `towpath`, one file per group; those that work without the API are in `installation/`.

Start with `run.py`. Only `infra/cli/app.py` imports them.
"""
