"""`towpath backup` and `towpath restore`."""

from __future__ import annotations

from infra.backup.errors import BackupError
from infra.backup.run import backup, restore

__all__ = ["BackupError", "backup", "restore"]
