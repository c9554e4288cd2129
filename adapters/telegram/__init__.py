"""Telegram's Bot API over HTTP.

Start with `bot_api.py`, the client; `errors.py` says how a request can fail, `updates.py` what people did.
`pace.py` keeps Telegram's limits, `domain/chat/text.py` keeps text from becoming links.
"""
