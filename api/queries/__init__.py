"""Queries that several routes share: pages, positions in the log, the past, the status of runners."""
