"""Reading of the log: single events, pages, a live feed, and stored bytes for the audit.

Nothing here appends. Start with `log_reader.py`. `infra` builds it; other parts know the ports.
"""
