"""Arguments of commands: shared options, positions in the log, advice on mistakes.

Start with `options.py`. Every command imports it, so it imports only typer and the standard library above.
"""
