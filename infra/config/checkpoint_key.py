"""The default checkpoint signing key of an installation: one file, made once.

One key per line: the first is the private key in use, the others are old keys that are still trusted.
Replacing the key keeps only the public half of the old one, so that it can no longer sign.
"""

from __future__ import annotations

import os
from pathlib import Path

from adapters.crypto.checkpoint_keys import PUBLIC, parse_keys
from infra.config.private_files import private_directory
from infra.config.secret_key import make_key_file

NAME = "checkpoint-key"


def load(data_dir: Path) -> tuple[str, ...]:
    """The keys in `data_dir/checkpoint-key`; () if the file does not exist.

    Raises:
        ValueError: the file holds something else.
        OSError: it cannot be read.
    """
    path = data_dir / NAME
    if not path.exists():
        return ()
    keys = tuple(line.strip() for line in path.read_text().splitlines() if line.strip())
    try:
        parse_keys(keys)
    except ValueError as error:
        raise ValueError(
            f"{path}: {error}. Restore it from a backup; deleting it makes a new key, and what the old one "
            "signed is then trusted only where its public key is named"
        ) from error
    return keys


def load_or_make(data_dir: Path) -> tuple[str, ...]:
    """Like `load`, but makes the file (mode 0600) if it does not exist."""
    keys = load(data_dir)
    if not keys:
        private_directory(data_dir)
        make_key_file(data_dir / NAME)
        keys = load(data_dir)
    return keys


def rotate(data_dir: Path) -> tuple[str, ...]:
    """Put a new key first and keep only the public half of the previous one. Returns all keys."""
    path = data_dir / NAME
    old = load_or_make(data_dir)
    signer, _ = parse_keys(old)
    draft = data_dir / f"{NAME}.new"
    draft.unlink(missing_ok=True)
    make_key_file(draft)
    with draft.open("a") as file:
        file.writelines(f"{line}\n" for line in (PUBLIC + signer.public.hex(), *old[1:]))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return load(data_dir)
