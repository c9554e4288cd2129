"""Cryptography: encryption of env values, and the keys that sign checkpoints.

Start with `env_encryption.py`. Only `infra` imports it; the rest of Towpath knows the ports.
"""
