"""The secret key of an installation that was given none: made once, in the data directory.

Attempt tokens and encrypted env values depend on it, so it must survive restarts, and processes that start at
the same time must end up with the same one: the file appears whole, by a link that fails if it exists.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import tempfile
from pathlib import Path

from infra.config.private_files import private_directory

KEY_BYTES = 32


def load_or_make(data_dir: Path) -> tuple[bytes, ...]:
    """The keys in `data_dir/secret-key` (mode 0600); makes the file if it does not exist.

    One key per line: the first is in use, the others are accepted. A key is the line's text, 64 hex digits,
    so it can be copied to TOWPATH_SECRET_KEY.

    Raises:
        ValueError: a line does not hold 64 hex digits.
        OSError: it cannot be read or written.
    """
    path = data_dir / "secret-key"
    if not path.exists():
        private_directory(data_dir)
        make_key_file(path)
    keys = path.read_text().split()
    if not keys or not all(re.fullmatch(rf"[0-9a-f]{{{KEY_BYTES * 2}}}", key) for key in keys):
        raise ValueError(
            f"{path} does not hold a key of {KEY_BYTES * 2} hex digits per line: restore it from a backup; "
            "deleting it makes a new key, which cannot decrypt the env values already in the log"
        )
    return tuple(key.encode() for key in keys)


def make_key_file(path: Path) -> None:
    """Write KEY_BYTES random bytes as hex digits to a file of mode 0600; an existing file stays."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 0600
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, 0o600)  # a umask may have removed even the owner's rights
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()
