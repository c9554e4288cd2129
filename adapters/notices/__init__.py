"""Notices: webhooks that are told, and the notifier's state in SQL.

Start with `webhook.py`, whose requests `signature.py` signs and `addresses.py` confines; `store.py` holds the
state.
"""
