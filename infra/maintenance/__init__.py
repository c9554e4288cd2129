"""Maintenance of an installation: replay, checks of the log before a start, reading a log whose server is
down."""
