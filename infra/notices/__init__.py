"""The notifier put together, and what its commands do: `trial.py` for `check`, `operators.py` for the rest.

Start with `notifier.py`. `file.py` reads and checks the file of channels and rules, `channels.py` its kinds
of channels. `telegram_setup.py` finds the chat for a new file.
"""
