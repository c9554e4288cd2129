"""Configuration: settings from the environment, keys and private files in the data directory.

Start with `variables.py` (what can be set) and `settings.py`. Only `infra` reads settings; other parts get
arguments.
"""
