"""Configuration: settings from the environment, keys and private files in the data directory.

Start with `settings.py`.
"""
