"""`python -m infra.deployment.prepare`: makes the secrets that the compose files read.

Writes `.env` (mode 0600) with a random value for each secret, and certificates in `certs/`. An existing
`.env` is kept, since clients could not reach servers with other passwords.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from pathlib import Path

from infra.deployment import DEPLOYMENT
from infra.deployment.certificates import make_certificates
from infra.nats.accounts import PASSWORD_VARIABLES

NODES = ("nats-1", "nats-2", "nats-3")


def secret_variables() -> dict[str, str]:
    """A fresh value for each secret that the compose files name."""
    bot = secrets.token_hex(24)
    return {
        **{variable: _password() for variable in PASSWORD_VARIABLES.values()},
        "POSTGRES_PASSWORD": _password(),
        "TOWPATH_SECRET_KEY": secrets.token_hex(32),
        "TOWPATH_CHECKPOINT_KEY": secrets.token_hex(32),
        "TOWPATH_API_TOKENS": ",".join(
            [
                *(f"{role}:{secrets.token_hex(24)}" for role in ("admin", "operator", "auditor", "viewer")),
                f"admin=bot+behalf:{bot}",
            ]
        ),
        "TOWPATH_BOT_TOKEN": bot,
        "API_RUNNER_CALLBACK_TOKEN": secrets.token_hex(24),
    }


def _password() -> str:
    """A random password, beginning with a letter: nats-server parses values that look like numbers."""
    return f"p{secrets.token_hex(24)}"


def main(arguments: list[str] | None = None) -> int:
    """Write the missing files in the directory; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.deployment.prepare", description=__doc__)
    parser.add_argument(
        "--directory", type=Path, default=DEPLOYMENT, help="default: beside the compose files"
    )
    parser.add_argument("--node", action="append", help="name of a NATS server; default: nats-1 to nats-3")
    parser.add_argument("--also", action="append", default=[], help="more names for the certificates")
    given = parser.parse_args(arguments)
    directory: Path = given.directory
    directory.mkdir(parents=True, exist_ok=True)
    environment = directory / ".env"
    if not environment.exists():
        text = "".join(f"{name}={value}\n" for name, value in secret_variables().items())
        with os.fdopen(os.open(environment, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
    make_certificates(directory / "certs", given.node or NODES, given.also)
    sys.stderr.write(
        f"secrets in {environment}, certificates in {directory / 'certs'}; keep ca-key.pem elsewhere\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
