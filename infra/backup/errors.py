"""Errors of backup and restore."""

from __future__ import annotations


class BackupError(Exception):
    """The backup or restore failed and overwrote nothing; the message says what to do next."""
