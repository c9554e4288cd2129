"""Tasks: creating, listing, explaining, commands for one or many, their attempts, output and questions.

Start with `tasks.py`, then `commands.py`.
"""
