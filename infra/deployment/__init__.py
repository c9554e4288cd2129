"""Files for running Towpath on your own servers, and the program that makes their secrets.

Start with `prepare.py`. `docs/deployment.md` explains how they work together. `make docs` generates
`nats/accounts.conf`; tests check every name in the files (roles, variables, metrics) against the code.
"""

from pathlib import Path

DEPLOYMENT = Path(__file__).parent
