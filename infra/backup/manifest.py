"""Backup manifest: contents, checksums and the version that wrote them.

It is written last and atomically: a directory without it is not a backup.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from infra.backup.errors import BackupError
from infra.config.private_files import create_private

FORMAT = 1
NAME = "manifest.json"


class StreamArchive(BaseModel):
    """One stream: its archive (a file beside the manifest), its configuration and its state.

    `config` and `state` are the server's own JSON. `sha256` and `bytes` describe the file.
    """

    model_config = ConfigDict(frozen=True)

    stream: str
    file: str
    bytes: int
    sha256: str
    config: dict[str, Any]
    state: dict[str, Any]

    @property
    def messages(self) -> int:
        """The number of messages in the stream."""
        return int(self.state["messages"])

    @property
    def last_seq(self) -> int:
        """The last sequence of the stream."""
        return int(self.state["last_seq"])


class Manifest(BaseModel):
    """A whole backup. `key_ids` name the secret keys in use, which it does not contain."""

    model_config = ConfigDict(frozen=True)

    format: int
    towpath: str
    contract: str
    nats_server: str
    made_at: str
    key_ids: list[str]
    streams: list[StreamArchive]


def write(directory: Path, manifest: Manifest) -> None:
    """Write the manifest atomically."""
    draft = directory / f"{NAME}.new"
    with os.fdopen(create_private(draft, os.O_WRONLY | os.O_TRUNC), "w") as file:
        file.write(json.dumps(manifest.model_dump(), indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(directory / NAME)


def read(directory: Path) -> Manifest:
    """The manifest, after checking every archive against it.

    Raises:
        BackupError: it is missing, this version cannot read it, or an archive is damaged.
    """
    try:
        text = (directory / NAME).read_text()
    except OSError as error:
        raise BackupError(f"{directory} holds no backup: {NAME} cannot be read ({error.strerror})") from error
    try:
        found = json.loads(text)
        if found.get("format") != FORMAT:
            raise BackupError(
                f"the backup has format {found.get('format')}, this version knows {FORMAT}: restore it with "
                f"the Towpath that wrote it ({found.get('towpath')})"
            )
        manifest = Manifest.model_validate(found)
    except (ValueError, ValidationError, AttributeError) as error:
        raise BackupError(f"{directory / NAME} is damaged: take another backup") from error
    for archive in manifest.streams:
        _check(directory, archive)
    return manifest


def _check(directory: Path, archive: StreamArchive) -> None:
    if Path(archive.file).name != archive.file:
        raise BackupError(f"{NAME} names a file outside of the backup: {archive.file!r}")
    path = directory / archive.file
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = path.stat().st_size
    except OSError as error:
        raise BackupError(f"{path} cannot be read ({error.strerror}): the backup is not whole") from error
    if (digest, size) != (archive.sha256, archive.bytes):
        raise BackupError(f"{path} was changed or cut since the backup was taken: take another one")
