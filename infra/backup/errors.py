"""Errors of backup and restore."""

from __future__ import annotations


class BackupError(Exception):
    """Nothing was overwritten; the message says what to do next."""
