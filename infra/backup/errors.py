"""Why a backup or a restore cannot be done."""

from __future__ import annotations


class BackupError(Exception):
    """Nothing was overwritten; the message says what to do next."""
