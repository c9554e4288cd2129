"""Notices: webhooks and chats that are told, and the notifier's state in SQL.

Start with `webhook.py`, whose requests `signature.py` signs and `addresses.py` confines, and `telegram.py`,
whose messages `telegram_text.py` writes; `store.py` holds the state, and `history.py`
shows it to people.
"""
