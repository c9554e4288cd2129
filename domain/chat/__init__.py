"""Chat: what people write and press, who may do what, and in which words they are answered.

Pure: nothing here waits, reads a clock or opens a connection. Start with `commands.py`, which reads what
somebody wrote. `people.py` has users, roles and recipes, `cards.py` the messages with buttons, `text.py` what
every answer keeps to, and `words/` the answers.
"""
