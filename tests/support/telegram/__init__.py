"""A Bot API of our own on loopback: `chats.py` is what it keeps, `bot_api_server.py` serves it.

Start with `bot_api_server.py`: `async with serving_bot_api() as telegram`.
"""
