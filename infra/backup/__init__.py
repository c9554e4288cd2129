"""`towpath backup` and `towpath restore`.

Start with `run.py`.
"""

from __future__ import annotations

from infra.backup.errors import BackupError
from infra.backup.run import backup, restore

__all__ = ["BackupError", "backup", "restore"]
