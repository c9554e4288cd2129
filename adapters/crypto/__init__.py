"""Cryptography: encryption of env values, and the keys that sign checkpoints.

Start with `env_encryption.py`.
"""
