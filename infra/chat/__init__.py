"""The chat bot on Telegram: commands, buttons and replies become calls of Towpath's API, on behalf of people.

Start with `bot.py`, which takes updates one after the other, each until its effect is done. `messages.py`
and `presses.py` are what people do; `reading.py` and `acting.py` the commands, `settling.py` ends the buttons
of what is over. Everything goes over HTTP with `packages/towpath-client`, which comes with the extra
`towpath[chat]`, so the API's rules and roles hold here, too. It runs in the notifier that works.
"""
