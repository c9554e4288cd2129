"""`towpath backup` and `towpath restore`.

Start with `backup_and_restore.py`.
"""

from __future__ import annotations

from infra.backup.backup_and_restore import backup, restore
from infra.backup.errors import BackupError

__all__ = ["BackupError", "backup", "restore"]
