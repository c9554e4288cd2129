"""Arguments of commands: shared options, positions in the log, advice on mistakes.

Start with `options.py`.
"""
